"""How an image is started in QEMU, and what its first boot must have done."""

import argparse
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.controller.step_times import StepTimes
from deploy.debian.tools import Tools
from deploy.errors import BoardllamaError
from deploy.image import board_machine, boards, boot_test
from deploy.image.__main__ import check_model, make_board_image, size_in_bytes
from deploy.image.board_machine import BoardMachine
from deploy.image.boards import MIB, Emulator, debian_board
from deploy.image.content import missing_files
from deploy.image.disk import DiskLayout
from deploy.image.finishing import image_workspace
from deploy.image.outputs import Outputs
from deploy.onboard.service import OLLAMA
from deploy.vm import power
from deploy.vm.guest import run_in_guest
from deploy.vm.machine import Hardware
from tests.board.conftest import servers_told
from tests.gguf_bytes import chat, gguf
from tests.targets import targets
from tests.unit.known_host import program, programs_here

__all__ = ["programs_here"]

CONFIG = "# made\narm_64bit=1\nkernel=vmlinuz-6.12\ninitramfs initrd.img-6.12\n"


@pytest.fixture
def machine(tmp_path: Path) -> BoardMachine:
    """One that starts by EFI."""
    return BoardMachine(tmp_path, 2201, 2202, Path(), "", Hardware("cortex-a76", 2, 2000))


def test_the_machine_starts_from_its_disk_alone(machine: BoardMachine) -> None:
    """By firmware: no kernel, no key and no argument from outside."""
    command = machine.qemu_command("ssh-ed25519 AAAA")
    assert not {"-kernel", "-append", "-initrd"} & set(command)
    assert "nvme,serial=card,drive=card,bootindex=0" in command
    assert not any("AAAA" in word for word in command)
    assert any("restrict=on,hostfwd=tcp:127.0.0.1:2201-:22" in word for word in command)


@pytest.mark.parametrize("attachment", board_machine.ATTACHMENTS)
def test_one_disk_hangs_on_the_machine_and_is_what_firmware_starts(machine: BoardMachine, attachment: str) -> None:
    command = replace(machine, attachment=attachment).qemu_command("")
    devices = [command[place + 1] for place, word in enumerate(command) if word == "-device"]
    (disk,) = [device for device in devices if "drive=card" in device]
    assert (
        disk.endswith(",bootindex=0") and disk.split(",")[0] == board_machine.ATTACHMENTS[attachment][-1].split(",")[0]
    )


def test_a_raspberry_pi_gets_what_its_firmware_would_read_of_the_card(
    machine: BoardMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"config.txt": CONFIG, "cmdline.txt": "root=PARTUUID=1 quiet\n"}
    monkeypatch.setattr(
        board_machine, "fat_file", lambda tools, card, offset, name: files.get(name, f"{offset} {name}").encode()
    )
    started = board_machine.with_firmware(
        Tools(Path()), replace(machine, emulator=Emulator.RASPI3), DiskLayout(debian_board("rpi3"), MIB)
    )
    command = started.qemu_command("")
    assert command[command.index("-append") + 1] == "root=PARTUUID=1 quiet"
    read = {name: (machine.folder / name).read_text() for name in ("kernel", "initrd", "board.dtb")}
    names = {"kernel": "vmlinuz-6.12", "initrd": "initrd.img-6.12", "board.dtb": "bcm2837-rpi-3-b.dtb"}
    assert read == {name: f"{MIB} {source}" for name, source in names.items()}


def test_a_machine_that_a_killed_run_left_is_ended_by_the_next(tmp_path: Path) -> None:
    """The folder that goes then is all that knows of it. A process with its pid file's name stands for QEMU."""
    machine = tmp_path / ".work" / ".new-killed" / "boot-test"
    machine.mkdir(parents=True)
    known = BoardMachine(machine, 0, 0, Path(), "", Hardware())
    command = [sys.executable, "-c", "print(flush=True); import time; time.sleep(60)", str(known.pid_file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as left:
        assert left.stdout and left.stdout.readline()  # it runs
        known.pid_file.write_text(str(left.pid))
        with image_workspace(tmp_path, "efi", StepTimes()):
            assert left.wait(10) == -signal.SIGKILL
    assert not machine.exists()


def test_who_was_turned_away_for_asking_too_often_asks_again(
    machine: BoardMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([False, False, True])

    def ssh(_machine: BoardMachine, command: str, *, shared: bool) -> str:
        assert not shared, "the connection that there is proves nothing"
        if not next(answers):
            raise BoardllamaError("kex_exchange_identification: Connection closed by remote host")
        return ""

    monkeypatch.setattr(boot_test, "run_in_guest", ssh)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    boot_test.wait_for_new_login(machine)
    assert not list(answers)
    answers = iter([False])
    monkeypatch.setattr(boot_test, "NEW_LOGIN_DEADLINE", 0.0)
    with pytest.raises(BoardllamaError, match="Connection closed"):
        boot_test.wait_for_new_login(machine)


def test_commands_are_run_as_root_by_whoever_enters(machine: BoardMachine, programs_here: Path) -> None:
    """The whole of a command, with its quotes and operators. As sshd, this ssh gives its words to a shell."""
    program(programs_here / "ssh", 'for last; do :; done; exec sh -c "$last"')
    program(programs_here / "sudo", 'test "$1" = -n || exit 1; shift; ROOT="root by sudo" exec "$@"')
    machine.write_ssh_config()
    assert run_in_guest(machine, """echo 'it is' && echo "$ROOT" && false || echo $ROOT""") == (
        "it is\nroot by sudo\nroot by sudo\n"
    )
    assert "    User board\n" in machine.ssh_config.read_text()


def test_everything_that_the_first_boot_left_out_is_said(
    machine: BoardMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ssh(_machine: BoardMachine, command: str) -> str:
        return "" if "hostname" in command or "shadow" in command else "yes\n"

    monkeypatch.setattr(boot_test, "run_in_guest", ssh)
    with pytest.raises(
        BoardllamaError, match=r"the host name is not the one of boardllama\.txt; somebody has a password"
    ):
        boot_test.check_first_boot(machine)


@pytest.mark.parametrize("said", ["", "config.json: line 3: server.port is 0\n", "[1]"])
def test_a_board_that_cannot_say_its_health_fails_with_what_it_says(
    machine: BoardMachine, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    monkeypatch.setattr(boot_test, "run_in_guest", lambda machine, command: said)
    with pytest.raises(BoardllamaError, match=re.escape(f"`boardllama health` says: {said.strip() or 'nothing'}")):
        boot_test.wait_for_health(machine)


def test_a_board_that_does_not_power_off_fails(machine: BoardMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pulling its plug would hide it."""
    monkeypatch.setattr(boot_test, "run_in_guest", lambda machine, command: "")
    monkeypatch.setattr(power, "wait_for_end", lambda qemu, progress, patience: False)
    with pytest.raises(BoardllamaError, match="the board did not power off within 180 s"):
        boot_test.power_off_board(machine)


@pytest.mark.parametrize("question", boot_test.QUESTIONS)
def test_questions_are_shell(question: str) -> None:
    subprocess.run(["sh", "-nc", f"{question} >&2 && echo yes || true"], check=True)


def test_what_a_boot_partition_lacks_is_named() -> None:
    rpi4 = debian_board("rpi4")
    there = ["config.txt", "cmdline.txt", "vmlinuz-6.12-arm64", "initrd.img-6.12-arm64", "start4.elf", "fixup4.dat"]
    assert missing_files(rpi4, there) == ["bcm2711-rpi-4-b.dtb"]
    assert missing_files(rpi4, [*there, "bcm2711-rpi-4-b.dtb"]) == []


@pytest.mark.parametrize(
    ("text", "wanted"), [("4G", 4 << 30), ("700M", 700 << 20), ("4GiB", 4 << 30), ("1048576", 1 << 20)]
)
def test_sizes_as_people_write_them(text: str, wanted: int) -> None:
    assert size_in_bytes(text) == wanted


@pytest.mark.parametrize("text", ["", "G", "4T", "-1G", "4.5G"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="such as 4G"):
        size_in_bytes(text)


def test_a_model_that_no_board_would_serve_ends_make_image_at_once(tmp_path: Path) -> None:
    file = tmp_path / "bge.gguf"
    file.write_bytes(gguf(chat("bert")))
    with pytest.raises(BoardllamaError, match=r"^bge\.gguf is an embedding model \(bert\)"):
        check_model(str(file))
    file.write_bytes(gguf(chat()))
    check_model(str(file))
    check_model("hub")


def test_the_model_of_an_image(tmp_path: Path) -> None:
    """A name, a file, or what group data say."""
    file = tmp_path / "m.gguf"
    file.touch()
    assert boards.model_data("") == {}
    assert boards.model_data("hub") == {"model": "hub"}
    assert boards.model_data("none") == {"model": None}
    assert boards.model_data("qwen3.5-2b") == {"model": "qwen3.5-2b"}
    assert boards.model_data(str(file)) == {"model": "path", "model_path": str(file)}
    with pytest.raises(BoardllamaError, match=r"MODEL is 'tiny': it must be smoke, hub, none, auto, a name"):
        boards.model_data("tiny")


def test_what_an_image_cannot_do_is_said_when_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a Raspberry Pi 5 with Debian's kernel: its fan stands still."""
    made = Outputs(tmp_path, "rpi5")
    for path in made.all_files:
        path.touch()
    monkeypatch.setattr("deploy.image.__main__.make_image", lambda *_: made)
    monkeypatch.setenv("BOARDLLAMA_CACHE", str(tmp_path))
    assert make_board_image(["rpi5", "--model", "none"]) == 0
    said = capsys.readouterr().out
    assert "for a Raspberry Pi 5; its content was checked" in said
    assert [line for line in said.splitlines() if line.startswith("  note: no fan")]


@pytest.mark.parametrize("name", ["efi", "rpi3"])
def test_the_board_suite_is_told_all_settings_of_the_boards_kind(machine: BoardMachine, name: str) -> None:
    """As pyinfra reads the inventory: the suite asks the settings which servers a board has."""
    told = targets(boot_test.write_inventory(machine, debian_board(name)))
    (data,) = told.values()
    assert servers_told(data) == [OLLAMA]
    assert data["ssh_port"] == machine.ssh_port and data["ssh_user"] == "board"
