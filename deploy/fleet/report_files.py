"""The rows of a run as files: JSON for programs, JUnit XML for programs that show test results."""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from deploy.fleet.report_row import BOARD, Row

VERSION = 1
# What XML 1.0 cannot hold, and a reason may: a server's last words come from its journal.
FORBIDDEN = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_json(rows: Sequence[Row], retry: str, error: str = "") -> str:
    """{"version": 1, "good": false, "error": "", "retry": "…", "hosts": [{"host": …, …}], "boards": [{"board": …, …}]}

    `error`: why the run ended before it knew of hosts. `boards`: those of the hosts that are boards, as programs have
    read them since the first report.
    """
    hosts = [row.json_values() for row in rows]
    good = not error and all(row.good for row in rows)
    boards = [{"board": host["host"], **host} for host in hosts if BOARD in host["roles"]]
    told = {"version": VERSION, "good": good, "error": error, "retry": retry, "hosts": hosts, "boards": boards}
    return json.dumps(told, indent=1) + "\n"


def as_junit(rows: Sequence[Row], retry: str) -> str:
    """A suite with a case for each host: an error for a host without a connection, a failure for other bad ones."""
    bad = [row for row in rows if not row.good]
    unreachable = sum(row.verdict == "unreachable" for row in bad)
    counts = {"tests": len(rows), "failures": len(bad) - unreachable, "errors": unreachable, "skipped": 0}
    total = f"{sum(row.record.seconds for row in rows):.1f}"
    numbers = {name: str(count) for name, count in counts.items()}
    suites = ElementTree.Element("testsuites", numbers | {"time": total})
    suite = ElementTree.SubElement(suites, "testsuite", {"name": "boardllama"} | numbers | {"time": total})
    properties = ElementTree.SubElement(suite, "properties")
    ElementTree.SubElement(properties, "property", {"name": "retry", "value": xml_text(retry)})
    for row in rows:
        add_case(suite, row)
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def add_case(suite: ElementTree.Element, row: Row) -> None:
    """Adds the case of one host to the suite."""
    about = {"classname": "boardllama", "name": row.host, "time": f"{row.record.seconds:.1f}"}
    case = ElementTree.SubElement(suite, "testcase", {key: xml_text(value) for key, value in about.items()})
    if not row.good:
        kind = "error" if row.verdict == "unreachable" else "failure"
        told = {"type": row.verdict, "message": xml_text(row.reason.splitlines()[0] if row.reason else row.verdict)}
        ElementTree.SubElement(case, kind, told).text = xml_text(row.reason)
    said = "\n".join(f"{name}: {value}" for name, value in row.table_cells().items())
    ElementTree.SubElement(case, "system-out").text = xml_text(said)


def xml_text(text: str) -> str:
    """The text, with ? for each character that XML cannot hold."""
    return FORBIDDEN.sub("?", text)


def write_whole(path: Path, text: str) -> None:
    """Replaces the file in one step. Raises OSError."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_text(text, encoding="utf-8")
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
