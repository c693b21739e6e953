"""A whole run of `make bench`: programs stand in for QEMU, llama-bench and llama-server."""

import sys
from pathlib import Path

import pytest

from deploy.errors import BoardllamaError, NotThere
from tests.bench.contenders import Installed
from tests.bench.history import Record
from tests.bench.plan import BENCH as BENCH_KINDS
from tests.bench.plan import KINDS
from tests.bench.roots import Packages
from tests.bench.run import Run

# Starts the program that stands behind QEMU's options, and writes what the plugin writes.
QEMU = """#!/bin/sh
[ "$1" != --version ] || { echo QEMU of these tests; exit 0; }
while [ "${1#-}" != "$1" ]; do
    case $2 in */count.so,out=*) echo "total 5000000" >"${2#*,out=}" ;; esac
    shift 2
done
exec "$@"
"""
BENCH = """#!/bin/sh
echo 'load_backend: loaded CPU backend from /usr/lib/libggml-cpu-armv8.2_2.so' >&2
[ ! -e "$(dirname "$0")/broken" ] || { echo 'error: no such model' >&2; exit 1; }
"""
SERVER = f"""#!{sys.executable}
import http.server, sys
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Health).serve_forever()
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of such programs, which every contender has."""
    for name, text in (("qemu", QEMU), ("llama-bench", BENCH), ("llama-server", SERVER)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "model.gguf").write_bytes(bytes(1000))
    made = Installed(tmp_path, tmp_path, tmp_path, ("llama-server",))
    monkeypatch.setenv("BOARDLLAMA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Packages, "command", lambda self, program: [str(tmp_path / "qemu")])
    monkeypatch.setattr("tests.bench.run.installed", lambda name, core: made)
    monkeypatch.setattr("tests.bench.run.ensure_model", lambda shape: tmp_path / "model.gguf")
    monkeypatch.setattr("tests.bench.run.CORES", {})
    monkeypatch.setattr("tests.bench.counting.counting_plugin", lambda build: tmp_path / "count.so")
    return tmp_path


def measured(rounds: str = "2") -> Record:
    """The record of a run of two contenders."""
    return Run.of_words("cortex-a76", "debian boardllama", rounds, "small").measure(lambda record: None)


def test_every_contender_is_in_the_record_with_every_figure(programs: Path) -> None:
    record = measured()
    assert [(entry.cpu, entry.contender) for entry in record.entries] == [
        ("cortex-a76", "debian"),
        ("cortex-a76", "boardllama"),
    ]
    for entry in record.entries:
        assert {name: len(values) for name, values in entry.figures.items()} == {
            **dict.fromkeys(("prompt", "generation", "load", "start", "start_wall", "memory"), 2),
            **dict.fromkeys(("prompt_instructions", "generation_instructions", "size"), 1),
        }
        assert entry.kernels == "libggml-cpu-armv8.2_2.so"


def stop(record: Record) -> None:
    raise BoardllamaError("the disk is full")


def test_a_run_that_was_ended_goes_on_with_what_it_has(programs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BoardllamaError, match="the disk is full"):
        Run.of_words("cortex-a76", "debian", "1", "small").measure(stop)
    measured("1")
    assert "9 measurements, 9 are there from a run before" in capsys.readouterr().err


def test_a_run_whose_record_is_kept_leaves_the_next_what_is_the_same_each_time(
    programs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured("1")
    measured("1")
    counted, timed = 2 * len(BENCH_KINDS), 2 * len(KINDS)
    assert f"{timed} measurements, {counted} are there from a run before" in capsys.readouterr().err


def test_a_program_that_fails_is_named_with_its_last_words(programs: Path) -> None:
    (programs / "broken").touch()
    with pytest.raises(BoardllamaError, match="status 1, error: no such model"):
        measured()


def test_a_contender_that_cannot_be_is_named_with_the_reason(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, core: str) -> Installed:
        raise NotThere(f"no {name} here")

    monkeypatch.setattr("tests.bench.run.installed", refuse)
    run = Run.of_words("max", "tuned", "1", "small")
    with pytest.raises(BoardllamaError, match="none of tuned can be measured: say others by CONTENDERS="):
        run.measure(stop)
    assert run.absent == {"tuned": "no tuned here"}
