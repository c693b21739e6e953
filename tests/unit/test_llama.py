"""Installing llama.cpp: someone else's programs are left alone, and a build that failed keeps only its own boards."""

from pathlib import Path

import pytest

from deploy.build.artifact import Build
from deploy.cpu import find_cpu
from deploy.hosts.snapshot import Snapshot
from deploy.onboard.places import PLACES, PROGRAMS
from deploy.stages import llama
from tests.unit.known_host import KnownHost, program, programs_here
from tests.unit.test_plan import NOWHERE

CURRENT, ROOT = PLACES.current, PLACES.root

__all__ = ["programs_here"]

SERVER = "/usr/bin/llama-server"
OURS: dict[str, str | None] = {f"/usr/bin/{name}": f"{CURRENT}/{name}" for name in PROGRAMS}


def board(links: dict[str, str | None]) -> KnownHost:
    """One on which these names lead somewhere; None: a file has the name."""
    return KnownHost(Snapshot(links=links))


@pytest.mark.parametrize(
    "target", [None, "/opt/llama.cpp/llama-server", "llama-server-b6000", f"{ROOT}.old/x"], ids=str
)
def test_someone_elses_llama_server_is_left_alone_whether_file_or_link(programs_here: Path, target: str | None) -> None:
    program(programs_here / "dpkg-query", "exit 1")
    host = board({**OURS, SERVER: target})
    assert not host.does(llama.check_target, refused=None)
    assert host.record.reason == (
        f"{SERVER} belongs to someone else, so boardllama leaves it alone: `mv {SERVER} {SERVER}.old` there, run again"
    )


def test_a_package_that_owns_one_of_the_programs_is_named(programs_here: Path) -> None:
    program(programs_here / "dpkg-query", 'test "$2" = /usr/bin/llama-cli && echo "llama.cpp-tools: $2"')
    host = board({"/usr/bin/llama-cli": None})
    assert not host.does(llama.check_target, refused=None)
    assert host.record.reason == (
        "/usr/bin/llama-cli belongs to the package llama.cpp-tools, so boardllama leaves it alone: "
        "`apt-get remove llama.cpp-tools` there, run again"
    )


@pytest.mark.parametrize("links", [{}, OURS], ids=["none", "ours"])
def test_a_board_without_them_or_with_ours_is_taken(links: dict[str, str | None]) -> None:
    assert board(links).plans(llama.check_target, refused=None) == []


def test_a_board_that_is_refused_keeps_the_reason() -> None:
    host = board({})
    assert not host.does(llama.check_target, refused="cortex-a76 needs asimddp")
    assert (host.record.verdict, host.record.reason) == ("refused", "cortex-a76 needs asimddp")


def test_a_build_that_is_not_there_fails_the_board_that_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOARDLLAMA_CACHE", str(tmp_path))
    host = board({})
    assert not host.does(llama.store_build, Build(NOWHERE, find_cpu("cortex-a76")))
    assert "is not there" in host.record.reason


def test_packages_are_asked_for_only_where_a_command_is_lacking() -> None:
    assert board({}).plans(llama.need_packages, lacking=()) == []
    bare = KnownHost(Snapshot(), "@fake/bare")
    assert any("install curl" in str(step) for step in bare.plans(llama.need_packages, lacking=("curl",)))
