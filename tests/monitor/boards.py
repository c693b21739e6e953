"""Boards on the loopback: a server that tells llama-server's figures to whoever has its key, and a node exporter."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from deploy.stages.exporter import drop_in
from deploy.vm.ports import free_ports
from tests.engines import engine

# What /metrics of llama-server at the pinned commit says, of what is asked for here.
FIGURES = """\
llamacpp:tokens_predicted_total {tokens}
llamacpp:tokens_predicted_seconds_total {seconds}
llamacpp:prompt_tokens_total {tokens}
llamacpp:requests_processing 2
llamacpp:requests_deferred 3
"""
# Where a Raspberry Pi's kernel has its sensor: the exporter's label "chip" is made of the last two folders.
VOLTAGE = "devices/platform/soc/soc:firmware/raspberrypi-hwmon"
RELEASE = """\
boardllama_release_info{release="r0123456789a",model="qwen3.5-2b.gguf"} 1
boardllama_release_committed_timestamp_seconds 1795000000
boardllama_tokens_per_second_floor 2.5
boardllama_tokens_per_second_gate 9.5
"""


@contextmanager
def figures_server(key: str = "") -> Iterator[int]:
    """The port of a server that asks for the key. With each question it has answered 40 tokens more, in 10 seconds.

    It has the models that it is asked for, each with counters of its own.
    """
    turns: dict[str, Iterator[int]] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = not key or self.headers.get("Authorization") == f"Bearer {key}"
            turn = next(turns.setdefault(self.path, iter(range(1_000_000))))
            body = FIGURES.format(tokens=40 * turn, seconds=10 * turn) if known else "Invalid API Key"
            self.send_response(200 if known else 401)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@contextmanager
def node_exporter(folder: Path) -> Iterator[int]:
    """The port of a node exporter that is told what a board's is, on a board of 61 degrees with too little voltage."""
    (port,) = free_ports(1)
    sysfs, texts = folder / "sys", folder / "texts"
    told = {
        sysfs / VOLTAGE / "hwmon/hwmon0": {"name": "rpi_volt", "in0_lcrit_alarm": "1"},
        sysfs / "class/hwmon/hwmon1": {"name": "nvme", "temp1_input": "41000"},
        sysfs / "class/thermal/thermal_zone0": {"type": "cpu-thermal", "temp": "61234", "policy": "step_wise"},
        texts: {"release.prom": RELEASE},
    }
    for place, files in told.items():
        place.mkdir(parents=True)
        for name, text in files.items():
            (place / name).write_text(text if text.endswith("\n") else f"{text}\n")
    (sysfs / VOLTAGE / "hwmon/hwmon0/device").symlink_to("../../../raspberrypi-hwmon")
    (sysfs / "class/hwmon/hwmon0").symlink_to(f"../../{VOLTAGE}/hwmon/hwmon0")
    # The collector of cores ends Debian 13's exporter (1.9) where there are none.
    (sysfs / "devices/system").symlink_to("/sys/devices/system")
    places = [
        f"--path.sysfs={sysfs}",
        f"--collector.textfile.directory={texts}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    process = subprocess.Popen(
        [engine("prometheus-node-exporter"), *told_exporter(), *places],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield port
    finally:
        process.kill()
        process.wait()


def told_exporter() -> list[str]:
    """The arguments in the unit of a board's exporter, but for its places."""
    lines = drop_in([]).content.replace("\\\n", " ").splitlines()
    words = next(line for line in lines if line.startswith("ExecStart=/usr/bin/")).split()[1:]
    return [word for word in words if not word.startswith(("--web.listen-address", "--collector.textfile.directory"))]
