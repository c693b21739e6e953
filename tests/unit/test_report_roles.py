"""The end of a run in which a gateway or a monitor is not good, and of one that ends before any host begins."""

import json
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.unit.boards import closed
from tests.unit.test_plan import a_board, deploy

INVENTORY = "builders = [{builder!r}]\ntargets = {targets!r}\n"
ACME = {"gateway_tls": "acme", "gateway_acme_agree": True, "gateway_names": "*.org"}
OFF: dict[str, Any] = {"ssh_hostname": "127.0.0.1", "ssh_user": "root", "ssh_allow_agent": False}


def run(folder: Path, groups: dict[str, list[Any]], *options: str) -> "subprocess.CompletedProcess[str]":
    """A deploy to a board that is well enough to be prepared, and to the hosts of other groups."""
    lines = "".join(f"{group} = {hosts!r}\n" for group, hosts in groups.items()).replace("{", "{{").replace("}", "}}")
    files = [word for kind in ("json", "junit") for word in ("--data", f"report_{kind}={folder}/run.{kind}")]
    return deploy(folder, [a_board("machine x86_64")], *files, *options, inventory=INVENTORY + lines)


def rows(folder: Path) -> dict[str, dict[str, Any]]:
    """The rows of the report by host."""
    return {row["host"]: row for row in json.loads((folder / "run.json").read_text())["hosts"]}


@pytest.mark.parametrize("group", ["gateways", "monitors"])
def test_a_run_that_fails_on_a_gateway_or_a_monitor_says_so_in_every_report(tmp_path: Path, group: str) -> None:
    done = run(tmp_path, {group: [("gate", OFF | {"ssh_port": closed()})]}, "--limit", group)
    assert done.returncode == 1
    role = group.removesuffix("s")
    assert f"1 {role}: 1 unreachable\nTo try again those that are not good: --limit gate" in done.stderr
    row = rows(tmp_path)["gate"]
    assert (row["roles"], row["verdict"], row["good"]) == ([role], "unreachable", False)
    (case,) = ElementTree.parse(tmp_path / "run.junit").iter("testcase")
    assert case.get("name") == "gate" and case.find("error") is not None


@pytest.mark.parametrize(
    ("group", "told", "said"),
    [
        ("gateways", {"gateway_queue": "many"}, "gateway_queue is 'many'"),
        ("gateways", ACME, "asks by HTTP certifies no addresses"),
        ("monitors", {"monitor_ports": 1}, "unknown setting monitor_ports: did you mean monitor_port?"),
    ],
)
def test_settings_that_are_refused_before_any_host_begins_are_in_the_reports(
    tmp_path: Path, group: str, told: dict[str, Any], said: str
) -> None:
    gate = ("@fake/10.0.0.1", {"fake_delay": 0, "gateway_allow_unauthenticated": True, **told})
    done = run(tmp_path, {group: [gate]})
    assert done.returncode == 1 and done.stderr.count(said) == 2, "in the table, and in pyinfra's own last line"
    found = rows(tmp_path)
    assert found["@fake/10.0.0.1"]["verdict"] == "refused" and said in found["@fake/10.0.0.1"]["reason"]
    assert found["@fake/board"]["good"] is False, "nothing was done there"
    assert ElementTree.parse(tmp_path / "run.junit").getroot().get("failures") == "2"
