"""Which tests execute a line: from a traced run of the unit tests, of which each file's part is kept for later runs."""

import ast
import hashlib
import json
import re
import sys
from collections import defaultdict
from pathlib import Path

from coverage import CoverageData

from deploy.controller.progress import Progress
from deploy.onboard.files import write_file
from deploy.paths import cache_dir
from tests.mutants.box import Box

ROOMS = ("deploy/onboard", "deploy/stages")  # that get faults

# Each test names itself to its subprocesses by pytest's own variable.
SETTINGS = """[run]
source = deploy
relative_files = true
parallel = true
data_file = /tmp/trace/data
context = ${PYTEST_CURRENT_TEST-}
disable_warnings = module-not-imported,no-data-collected
"""
FORMAT = 3  # of what is kept
Lines = list[tuple[str, int]]  # a module and a number; 0 for all lines of a module that gets no faults


class Traces:
    """`parts`: of each file of tests, its tests with their seconds and the lines that they execute."""

    def __init__(self, parts: dict[str, dict[str, tuple[float, Lines]]]) -> None:
        self.files = {file: list(tests) for file, tests in parts.items()}
        self.seconds = {test: spent for tests in parts.values() for test, (spent, _) in tests.items()}
        self.of_line: dict[tuple[str, int], set[str]] = defaultdict(set)
        self.of_module: dict[str, set[str]] = defaultdict(set)
        for test, (_, lines) in (item for tests in parts.values() for item in tests.items()):
            for path, line in lines:
                self.of_line[path, line].add(test)
                self.of_module[path].add(test)

    def rounds(self, box: Box, path: str, line: int) -> list[list[str]]:
        """The tests to run for a fault in this line: those that execute it, quick ones first, and what may notice it.

        A program that is run as `python -IS` leaves no trace: the files of tests that import its module may notice.
        A line that an import runs is noticed wherever its module is used: also by the tests of modules that import it.
        """
        users = [name for name in box.names if imports(box.read(name), Path(path).stem)]
        first = self.of_line.get((path, line), set())
        others = {test for name in users for test in self.files.get(name, ())}
        if is_outside_functions(box.read(path), line):
            others |= first.union(*(self.of_module.get(name, ()) for name in (path, *users)))
            first = set()
        return [sorted(tests, key=self.seconds.__getitem__) for tests in (first, others - first) if tests]


def imports(text: str, module: str) -> bool:
    """Whether a Python file imports a module of that name."""
    return bool(re.search(rf"^ *(from|import) .*\b{module}\b", text, re.MULTILINE))


def is_outside_functions(text: str, line: int) -> bool:
    """Whether an import runs that line."""
    functions = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef))
    return not any(function.lineno <= line <= (function.end_lineno or 0) for function in functions)


def read_traces(box: Box) -> Traces:
    """Of the code in the box: from the cache, or by a run of the files of tests that are not in it."""
    folder = cache_dir() / "mutants"
    folder.mkdir(parents=True, exist_ok=True)
    names = [name for name in box.names if name.startswith(("deploy/", "tests/", "templates/", "inventory/"))]
    files = [name for name in names if name.startswith("tests/unit/test_")]
    code = [name for name in names if name not in files and not name.startswith("tests/mutants/")]
    kept = {file: folder / f"{hash_of(box, [*code, file])}.json" for file in files}
    if missing := [file for file in files if not kept[file].exists()]:
        with Progress("mutants").during(f"which test of {len(missing)} files executes which line"):
            traced = trace(box, missing)
        for file, tests in traced.items():
            write_file(kept[file], json.dumps(tests).encode())
    parts = {file: json.loads(path.read_text()) for file, path in kept.items()}
    return Traces(parts)


def hash_of(box: Box, names: list[str]) -> str:
    """Changes with the name or the content of each file."""
    texts = "".join(f"{name}\0{box.read(name)}" for name in names)
    return hashlib.sha256(f"{FORMAT}{texts}".encode()).hexdigest()[:16]


def trace(box: Box, files: list[str]) -> dict[str, dict[str, tuple[float, Lines]]]:
    """Runs these files of tests once. Returns of each what Traces takes."""
    folder = box.folder / "trace"
    folder.mkdir()
    (folder / "settings").write_text(SETTINGS)
    variables = {"MUTANTS_TRACE": "/tmp/trace", "COVERAGE_PROCESS_START": "/tmp/trace/settings"}
    tests = ["pytest", "-q", "-p", "no:xdist", "-p", "tests.mutants.tracing", *files]
    box.run(["-m", "coverage", "run", "--rcfile=/tmp/trace/settings", "-m", *tests], variables)
    if not (folder / "seconds.json").exists():
        sys.exit(f"the unit tests did not run:\n{box.said()}")
    print(box.said().splitlines()[-1], flush=True)
    seconds: dict[str, float] = json.loads((folder / "seconds.json").read_text())
    lines = executed_lines(folder)
    return {
        file: {test: (spent, lines.get(test, [])) for test, spent in seconds.items() if test.startswith(f"{file}::")}
        for file in files
    }


def executed_lines(folder: Path) -> dict[str, Lines]:
    """Of each test. A subprocess calls it "TEST (call)", the tests themselves "TEST"; both stand with a bar between."""
    data = CoverageData(str(folder / "all"))
    for part in folder.glob("data.*"):
        measured = CoverageData(str(part))
        measured.read()
        data.update(measured)
    found: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for file in data.measured_files():
        path = file.removeprefix("/tmp/repo/")
        for line, contexts in data.contexts_by_lineno(file).items():
            for test in {re.sub(r" \((setup|call|teardown)\)$", "", name.split("|")[-1]) for name in contexts}:
                found[test].add((path, line if path.startswith(ROOMS) else 0))
    return {test: sorted(lines) for test, lines in found.items()}
