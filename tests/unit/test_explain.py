"""What `systemctl status` shows of a server that ended."""

from pathlib import Path

import pytest

from deploy.onboard import explain as module
from deploy.onboard.explain import KERNEL, KILLERS, SOMEONE, WATCHER, explain, is_out_of_memory, killer_of, main


@pytest.mark.parametrize(
    ("result", "status", "said"),
    [
        ("exit-code", "78", "the configuration is wrong"),
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
    assert said in str(explain({"SERVICE_RESULT": result, "EXIT_STATUS": status}))


def test_an_end_that_was_wanted_needs_none() -> None:
    assert explain({"SERVICE_RESULT": "success", "EXIT_STATUS": "0"}) is None


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
    log = ["Out of memory: Killed process 7 (llama-server) total-vm:1kB"]
    monkeypatch.setattr(module, "said", lambda *words: log[0])
    note = tmp_path / "hung"
    assert killer_of("7", str(note)) == KERNEL
    assert killer_of("8", str(note)) == SOMEONE
    note.write_text("7")
    assert killer_of("7", str(note)) == WATCHER
    assert killer_of("8", str(note)) == SOMEONE, "the note is about a process of before"
    log[0] = ""
    assert killer_of("9", str(note)) == SOMEONE, "a board without dmesg"


def test_the_kernel_is_asked_only_when_systemd_cannot_tell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def said(*words: str) -> str:
        asked.append(words[0])
        return "612\n" if words[0] == "systemctl" else OUT_OF_MEMORY[1]

    monkeypatch.setattr(module, "said", said)
    monkeypatch.setenv("SERVICE_RESULT", "core-dump")
    monkeypatch.setenv("EXIT_STATUS", "SEGV")
    main()
    assert asked == [] and "crashed (SIGSEGV)" in capsys.readouterr().out
    monkeypatch.setenv("SERVICE_RESULT", "signal")
    monkeypatch.setenv("EXIT_STATUS", "KILL")
    main()
    assert asked == ["systemctl", "dmesg"] and KILLERS[KERNEL] in capsys.readouterr().out
