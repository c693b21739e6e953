"""What the rules of a monitor, its page and the dashboards look at: the series that queries of Prometheus name."""

import re
from collections.abc import Iterator

import yaml

from deploy.fleet.monitor.story import RULES
from deploy.reference.dashboards import DASHBOARDS

LABEL_LISTS = re.compile(r"\b(?:by|on|ignoring|group_left|group_right|without) *\([^)]*\)")
# A name, braces with labels, or both. What stands before a parenthesis is a function.
SELECTOR = re.compile(r"(?:[a-zA-Z_:][\w:]*(?![\w:]| *\()(?:\{[^}]*\})?|\{[^}]*\})")
CHOICE = re.compile(r'__name__=~"([^"]+)"')
# What a monitor finds out itself.
OF_MONITORS = "boardllama_page_timestamp_seconds", "boardllama_certificate_end_timestamp_seconds"
WORDS = {"and", "or", "unless", "bool", "offset"}


def selectors_of(query: str) -> set[str]:
    """The selectors of a query, without a range: {"up{job='llama'}", "board:up:max"}. Of names to choose from, each."""
    bare = re.sub(r"\[[^]]*\]", "", LABEL_LISTS.sub("", query))
    found = {one[0] for one in SELECTOR.finditer(bare)} - WORDS
    choices = {name for one in found for names in CHOICE.findall(one) for name in names.split("|")}
    return {one for one in found if not CHOICE.search(one)} | choices


def rule_expressions() -> Iterator[str]:
    """The expression of each rule, recorded ones too."""
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


def named_figures(prefix: str) -> set[str]:
    """The names that begin so, of all that is looked at anywhere."""
    queries = [*rule_expressions(), *(panel.query for panels in DASHBOARDS.values() for panel in panels)]
    return {name for query in queries for name in re.findall(rf"\b{prefix}\w+", query)}
