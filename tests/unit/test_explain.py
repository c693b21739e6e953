"""What `systemctl status` shows of a server that ended."""

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.onboard import explain as module
from deploy.onboard.explain import (
    KERNEL,
    KILLERS,
    NOBODY_KNOWS,
    SOMEONE,
    WATCHER,
    explain_end,
    find_killer,
    is_out_of_memory,
    kernel_log,
)


def explained(environment: dict[str, str]) -> str | None:
    """Of a service whose folder below /run systemd names."""
    return explain_end(environment | {"RUNTIME_DIRECTORY": "/run/some-server"})


@pytest.mark.parametrize(
    ("result", "status", "said"),
    [
        ("exit-code", "78", "the configuration is wrong, as said above: mend it, then `systemctl restart some-s"),
        ("exit-code", "75", "the disk of its model is not there"),
        ("signal", "BUS", "the disk of its model is gone, or broken"),
        ("core-dump", "BUS", "the disk of its model is gone, or broken"),
        ("exit-code", "1", "ended by itself with status 1"),
        ("oom-kill", "KILL", "more memory than the unit may have"),
        ("signal", "SEGV", "crashed (SIGSEGV)"),
        ("core-dump", "ABRT", "crashed (SIGABRT)"),
        ("signal", "KILL", "killed"),
        ("timeout", "TERM", "not ready in time"),
    ],
)
def test_every_end_has_a_sentence(result: str, status: str, said: str) -> None:
    assert said in str(explained({"SERVICE_RESULT": result, "EXIT_STATUS": status}))


def test_an_end_that_was_wanted_needs_none() -> None:
    assert explained({"SERVICE_RESULT": "success", "EXIT_STATUS": "0"}) is None


# As Linux 4.14, 5.10, 6.6 and 6.12 write it, without a memory cgroup and with one.
OUT_OF_MEMORY = [
    "Killed process 612 (llama-server) total-vm:4063308kB, anon-rss:3401320kB, file-rss:0kB, shmem-rss:0kB",
    "[ 812.5] Out of memory: Killed process 612 (llama-server) total-vm:4063308kB, anon-rss:3401320kB, UID:999",
    "Out of memory (oom_kill_allocating_task): Killed process 612 (python3) total-vm:40kB, anon-rss:30kB",
    "Memory cgroup out of memory: Killed process 612 (llama-server) total-vm:4063308kB, anon-rss:3401320kB",
]


@pytest.mark.parametrize("line", OUT_OF_MEMORY)
def test_want_of_memory_is_known_from_the_kernel_s_log_by_the_number_of_the_process(line: str) -> None:
    log = f"[ 1.0] Booting Linux\n{line}\noom_reaper: reaped process 612 (llama-server)\n"
    assert is_out_of_memory("612", log)
    assert not is_out_of_memory("61", log) and not is_out_of_memory("12", log) and not is_out_of_memory("", log)


def test_each_killer_is_told_from_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process, hung = tmp_path / "process", tmp_path / "hung"
    monkeypatch.setattr(module, "kernel_log", lambda: OUT_OF_MEMORY[1])
    assert find_killer(str(tmp_path)) == NOBODY_KNOWS, "which process it was"
    process.write_text("612")
    assert find_killer(str(tmp_path)) == KERNEL
    process.write_text("61")
    assert find_killer(str(tmp_path)) == SOMEONE, "the kernel ended another one"
    monkeypatch.setattr(module, "kernel_log", str)
    assert find_killer(str(tmp_path)) == NOBODY_KNOWS, "the log was emptied, or may not be read"
    hung.touch()
    assert find_killer(str(tmp_path)) == WATCHER


@pytest.mark.parametrize("who", [WATCHER, KERNEL, SOMEONE, NOBODY_KNOWS])
def test_only_of_a_sigkill_the_killer_is_looked_for(monkeypatch: pytest.MonkeyPatch, who: str) -> None:
    looked: list[str] = []

    def killer(_folder: str) -> str:
        looked.append(who)
        return who

    monkeypatch.setattr(module, "find_killer", killer)
    explained({"SERVICE_RESULT": "core-dump", "EXIT_STATUS": "SEGV"})
    explained({"SERVICE_RESULT": "oom-kill", "EXIT_STATUS": "KILL"})
    assert looked == []
    assert KILLERS[who] in str(explained({"SERVICE_RESULT": "signal", "EXIT_STATUS": "KILL"}))


def test_the_kernel_s_log_is_what_dmesg_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "dmesg"
    program.write_text(f"#!/bin/sh\nprintf '%s\\377\\n' \"{OUT_OF_MEMORY[1]} $*\"\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert is_out_of_memory("612", kernel_log()) and "--syslog" in kernel_log()
    program.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    process = tmp_path / "process"
    process.write_text("612")
    assert find_killer(str(tmp_path)) == NOBODY_KNOWS, "a board without dmesg"


def test_it_loads_nothing_that_a_restart_would_wait_for() -> None:
    """A board whose memory is out, or whose Python has no compiled files, takes tens of seconds for subprocess."""
    ask = "import sys; before = set(sys.modules); sys.path.insert(0, sys.argv[1]); import explain; "
    ask += "explain.find_killer('/none'); print(*set(sys.modules) - before)"
    words = [sys.executable, "-IS", "-c", ask, str(Path(module.__file__).parent)]
    loaded = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    assert not {"subprocess", "pathlib", "re"} & set(loaded), loaded
