"""Which tests execute a line: from a traced run of the unit tests, of which each file's part is kept for later runs."""

import hashlib
import json
import re
import sys
from collections import defaultdict
from pathlib import Path

from coverage import CoverageData

from deploy.paths import cache_dir
from tests.mutants.box import Box

# Each test names itself to its subprocesses by pytest's own variable.
SETTINGS = """[run]
source = deploy/onboard
    deploy/stages
relative_files = true
parallel = true
data_file = /tmp/trace/data
context = ${PYTEST_CURRENT_TEST-}
disable_warnings = module-not-imported,no-data-collected
"""
FORMAT = 2  # of what is kept
Lines = list[tuple[str, int]]  # a module and a number


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

    def tests_of(self, path: str, line: int) -> list[str]:
        """The tests of this line, quick ones first; of a line that only an import runs, those of its module."""
        tests = self.of_line.get((path, line)) or self.of_module.get(path, set())
        return sorted(tests, key=self.seconds.__getitem__)

    def tests_naming(self, box: Box, path: str) -> list[str]:
        """The tests of the files that import the module: a program that is run as `python -IS` leaves no trace."""
        package, _, name = path.removesuffix(".py").replace("/", ".").rpartition(".")
        imports = re.compile(rf"^(from {package} import .*\b{name}\b|(from|import) {package}\.{name}\b)", re.M)
        return [test for file, tests in self.files.items() if imports.search(box.read(file)) for test in tests]


def read_traces(box: Box) -> Traces:
    """Of the code in the box: from the cache, or by a run of the files of tests that are not in it."""
    folder = cache_dir() / "mutants"
    folder.mkdir(parents=True, exist_ok=True)
    names = [name for name in box.names if name.startswith(("deploy/", "tests/", "templates/", "inventory/"))]
    files = [name for name in names if name.startswith("tests/unit/test_")]
    code = [name for name in names if name not in files and not name.startswith("tests/mutants/")]
    kept = {file: folder / f"{hash_of(box, [*code, file])}.json" for file in files}
    if missing := [file for file in files if not kept[file].exists()]:
        print(f"tracing {len(missing)} files of unit tests: which test executes which line", flush=True)
        for file, tests in trace(box, missing).items():
            kept[file].write_text(json.dumps(tests))
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
    box.run(["-m", "coverage", "run", "--rcfile=/tmp/trace/settings", "-m", *tests], None, variables)
    if not (folder / "seconds.json").exists():
        sys.exit(f"the unit tests did not run:\n{box.said()}")
    print(box.said().splitlines()[-1], flush=True)
    seconds: dict[str, float] = json.loads((folder / "seconds.json").read_text())
    lines = executed_lines(folder)
    return {
        file: {test: (spent, lines[test]) for test, spent in seconds.items() if test.startswith(f"{file}::")}
        for file in files
    }


def executed_lines(folder: Path) -> dict[str, Lines]:
    """Of each test. A subprocess calls it "TEST (call)", the tests themselves "TEST"; both stand with a bar between."""
    data = CoverageData(str(folder / "all"))
    for part in folder.glob("data.*"):
        measured = CoverageData(str(part))
        measured.read()
        data.update(measured)
    found: dict[str, Lines] = defaultdict(list)
    for file in data.measured_files():
        for line, contexts in data.contexts_by_lineno(file).items():
            for test in {re.sub(r" \((setup|call|teardown)\)$", "", name.split("|")[-1]) for name in contexts}:
                found[test].append((file.removeprefix("/tmp/repo/"), line))
    return found
