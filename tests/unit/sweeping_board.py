"""A board in a folder on which a sweep runs for real: a release, its server's counters on the loopback, and a program
that answers in llama-bench's place, with speeds that the test chooses. Only the speeds and the target are made up.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any

from deploy.paths import REPO
from tests.gguf_bytes import gguf
from tests.unit.onboard import Target

# Speeds by the arguments: {"prompt": 100, "generation": 10}, times a factor for each entry of `factors` that holds. An
# entry holds when all of its words stand in the command line, or in the list of cores that the process may use.
BENCH = """#!{python} -IS
import json, os, sys, time
told = json.loads(open({speeds!r}).read())
words = [f"{{name}}={{value}}" for name, value in zip(sys.argv[1::2], sys.argv[2::2])]
words.append("cores=" + ",".join(map(str, sorted(os.sched_getaffinity(0)))))
words.append("build=" + os.path.basename(os.path.dirname(sys.argv[0])))
options = dict(word.split("=", 1) for word in words)
with open({runs!r}, "a") as runs:
    runs.write(" ".join(words) + "\\n")
while os.path.exists({hold!r}):
    time.sleep(0.02)
for threads in options["--threads"].split(","):
    for kind in ("prompt", "generation"):
        speed = told[kind]
        for entry in told["factors"]:
            if all(word in [*words, f"--threads={{threads}}"] for word in entry["when"]):
                speed *= entry.get(kind, 1)
        row = {{"n_threads": int(threads), "n_prompt": 0, "n_gen": 0, "avg_ts": speed}}
        row["n_prompt" if kind == "prompt" else "n_gen"] = 8
        print(json.dumps(row), flush=True)
sys.exit(told.get("status", 0))
"""
# The same as run_tune, for a board that lies in a folder, with a kernel of its own: other tests keep this one busy.
SWEEP = """
import sys
from pathlib import Path
from deploy.onboard.places import PLACES
from deploy.onboard.tune import bandwidth, conditions, sweep, traffic
from tests.services import paths_below
traffic.QUIET_SECONDS, bandwidth.SECONDS, bandwidth.BUFFER = 0.1, 0.01, 1 << 20
if not {whole}:
    sweep.later_stages = lambda *_: ()
sweep.kinds_of_cores = lambda _: {kinds}
sweep.physical_cores = lambda cores: len(cores)
root = Path({root!r})
sweep.SILENCE = {silence}
sweep.Conditions = lambda: conditions.Conditions(root / "kernel")
sys.exit(sweep.run_tune([{request!r}], paths_below(root, PLACES), root / "note.json"))
"""


@dataclass
class Counted:
    """What the server's /metrics say."""

    processing: int = 0
    tokens: int = 0
    asked: int = 0

    def text(self) -> str:
        self.asked += 1
        return (
            "# HELP llamacpp:requests_processing x\n"
            f"llamacpp:requests_processing {self.processing}\nllamacpp:requests_deferred 0\n"
            f"llamacpp:prompt_tokens_total {self.tokens}\nllamacpp:tokens_predicted_total 0\n"
        )


@contextmanager
def metrics_server(counted: Counted) -> Iterator[int]:
    """The port at which the counters are told, as llama-server tells them."""

    class Metrics(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = counted.text().encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Metrics)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class SweepingBoard:
    """`speeds`: as BENCH reads them. `counted`: the server's counters. `request`: what is asked, but for the folder.
    `whole`: also the questions after threads and builds. `silence`: seconds after which the controller counts as gone.
    """

    target: Target
    port: int
    counted: Counted
    speeds: dict[str, Any] = field(default_factory=lambda: {"prompt": 100.0, "generation": 10.0, "factors": []})
    request: dict[str, Any] = field(default_factory=dict)
    kinds: list[tuple[int, ...]] = field(default_factory=lambda: [(0, 1)])
    whole: bool = False
    silence: float = 600.0

    @property
    def root(self) -> Path:
        return self.target.root

    @property
    def folder(self) -> Path:
        """Where the controller's files for the sweep lie."""
        return self.root / "var" / "tune"

    @property
    def programs(self) -> Path:
        """Programs that the sweep finds before this machine's own."""
        return self.root / "programs"

    @property
    def hold(self) -> Path:
        """While this file is there, a run of the stand-in does not end."""
        return self.root / "hold"

    @property
    def runs(self) -> list[str]:
        """The command lines of the runs so far."""
        file = self.root / "runs"
        return file.read_text().splitlines() if file.exists() else []

    def prepare(self) -> "SweepingBoard":
        """Makes the release that serves, and the file of the request."""
        model = gguf({"general.architecture": "llama", "llama.context_length": 512})
        release = self.target.add("r1", "m.gguf", model)
        config = json.loads((release.folder / "config.json").read_text()) | {"server": {"port": self.port}}
        self.target.service.config.parent.mkdir(parents=True, exist_ok=True)
        for file in (release.folder / "config.json", self.target.service.config):
            file.write_text(json.dumps(config))
        manifest = json.loads((release.folder / "manifest.json").read_text())
        manifest["build"]["name"] = "cortex-a72-0123456789ab"
        (release.folder / "manifest.json").write_text(json.dumps(manifest))
        self.place_bench(release.folder / "llama-bench")
        self.target.places.current.parent.mkdir(parents=True, exist_ok=True)
        self.target.places.current.symlink_to(release.folder)
        asked: dict[str, Any] = {
            "minutes": 5,
            "prompt_weight": 0.5,
            "stop_serving": False,
            "builds": [],
            "needs": None,
        } | self.request
        for name in asked["builds"]:
            self.place_bench(self.folder / "builds" / name / "llama-bench")
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "request.json").write_text(json.dumps(asked))
        (self.root / "speeds.json").write_text(json.dumps(self.speeds))
        return self

    def place_bench(self, path: Path) -> None:
        """Puts the stand-in for llama-bench there."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        files = {name: str(self.root / name) for name in ("runs", "hold")}
        path.write_text(BENCH.format(python=sys.executable, speeds=str(self.root / "speeds.json"), **files))
        path.chmod(0o755)

    def start(self) -> "subprocess.Popen[str]":
        """The sweep, as the controller starts it: its input stays open."""
        request = str(self.folder / "request.json")
        program = SWEEP.format(
            kinds=self.kinds, whole=self.whole, silence=self.silence, root=str(self.root), request=request
        )
        return subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=REPO,
            env=os.environ | {"PATH": f"{self.programs}:{os.environ['PATH']}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def sweep(self) -> dict[str, Any]:
        """The last line of a whole sweep."""
        with self.prepare().start() as running:
            told = list(lines_of(running.stdout))
        return told[-1]


def lines_of(output: "IO[str] | None") -> Iterator[dict[str, Any]]:
    """The lines of a sweep."""
    assert output
    for line in output:
        yield json.loads(line)


def await_truth(holds: Callable[[], bool]) -> None:
    """Returns when it holds."""
    patience = threading.Event()
    for _ in range(1200):
        if holds():
            return
        patience.wait(0.05)
    raise AssertionError("it did not come true within a minute")
