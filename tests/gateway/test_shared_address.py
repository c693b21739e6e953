"""Two gateways that share an address, by Debian's keepalived, each in a network of its own. As root."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from deploy.fleet.gateway.shared_address import Route, keepalived_text

ADDRESS, OWN = "10.98.0.10", {"gw-one": "10.98.0.1", "gw-two": "10.98.0.2"}
SECONDS = 30


def run(*words: str) -> str:
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout


class Gateway:
    """keepalived in a network. `serves`: a file that is there while its haproxy is well."""

    def __init__(self, name: str, link: str, folder: Path) -> None:
        self.name, self.serves = name, folder / f"{name}.serves"
        self.serves.touch()
        run("ip", "link", "set", link, "netns", name, "name", "eth0")
        run("ip", "-n", name, "addr", "add", f"{OWN[name]}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            run("ip", "-n", name, "link", "set", device, "up")
        peers = [address for other, address in OWN.items() if other != name]
        conf = folder / f"{name}.conf"
        conf.write_text(keepalived_text(ADDRESS, Route("eth0", OWN[name]), peers, f"/usr/bin/test -e {self.serves}"))
        places = [f"--{word}={folder}/{name}-{word}" for word in ("pid", "vrrp_pid", "checkers_pid")]
        words = ["keepalived", "--vrrp", "--dont-fork", "--log-console", f"--use-file={conf}", *places]
        with (folder / f"{name}.log").open("wb") as log:
            self.process = subprocess.Popen(["ip", "netns", "exec", name, *words], stdout=log, stderr=log)

    def has_it(self) -> bool:
        """Whether it has the shared address."""
        return f"inet {ADDRESS}/" in run("ip", "-n", self.name, "addr")

    def die(self) -> None:
        """All at once, as a machine does; its network stays, or the other one's link would go, too."""
        for process in run("ip", "netns", "pids", self.name).split():
            os.kill(int(process), signal.SIGKILL)


@pytest.fixture
def gateways(tmp_path: Path) -> Iterator[list[Gateway]]:
    """Two that reach each other."""
    for name in OWN:
        run("ip", "netns", "add", name)
    made: list[Gateway] = []
    try:
        run("ip", "link", "add", "gw-a", "type", "veth", "peer", "name", "gw-b")
        made += [Gateway(name, link, tmp_path) for name, link in zip(OWN, ("gw-a", "gw-b"), strict=True)]
        yield made
    finally:
        for one in made:
            one.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                one.process.wait(10)
        for name in OWN:
            run("ip", "netns", "del", name)


def await_true(what: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < end
        time.sleep(0.1)


def alone(gateways: list[Gateway], holder: Gateway) -> bool:
    """Whether this one has the address, and the other has not."""
    return [one for one in gateways if one.has_it()] == [holder]


def test_a_gateway_that_serves_has_the_address(gateways: list[Gateway]) -> None:
    """It moves with haproxy, and with the machine; nothing moves back that need not."""
    await_true(lambda: sum(one.has_it() for one in gateways) == 1)
    first, second = sorted(gateways, key=Gateway.has_it, reverse=True)
    first.serves.unlink()
    await_true(lambda: alone(gateways, second))
    first.serves.touch()
    time.sleep(6)
    assert alone(gateways, second), "the first one is well again, and nobody's stream is ended for it"
    second.die()
    await_true(first.has_it)
