"""A tree that means harm, or is broken: nothing outside changes, nothing hangs, and the reason is said."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

from deploy.controller.programs import Late
from deploy.image.tree.channel import Channel, get_command, put_command
from deploy.paths import REPO
from tests.image.runs import DEPLOY, PYINFRA, deploy, environment, untouched


def aim(tree: Path, place: str, target: str) -> None:
    """Puts a link in the place of what is there."""
    path = tree / place
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink() or path.is_file():
        path.unlink()
    path.symlink_to(target)


def test_a_deploy_through_absolute_links_stays_in_the_tree(tree: Path, victim: Path) -> None:
    """Each link names a folder that the controller has, and the tree has too."""
    for name in ("etc", "lib", "models"):
        (victim / name).mkdir(parents=True)
        (tree / str(victim / name).lstrip("/")).mkdir(parents=True)
    (victim / "resolv.conf").write_text("controller's\n")
    (victim / "config.json").write_text("controller's\n")
    aim(tree, "etc/ollama-cpp", str(victim / "etc"))
    aim(tree, "usr/lib/boardllama", "../../.." + str(victim / "lib"))
    aim(tree, "var/lib/ollama", str(victim / "models"))
    aim(tree, "etc/resolv.conf", str(victim / "resolv.conf"))
    with untouched(victim):
        run = deploy(tree)
    assert list((tree / str(victim).lstrip("/") / "models").rglob("*.gguf")), run.said


def test_links_out_of_the_tree_lead_nowhere(channel: Channel, shared: Path, victim: Path) -> None:
    (victim / "file").write_text("controller's\n")
    file = str(victim / "file")
    links = {"absolute": file, "up": "../" * 20 + file, "proc": f"/proc/1/root{file}"}
    with untouched(victim):
        for name, target in links.items():
            aim(shared, f"srv/{name}", target)
            channel.carry(put_command(f"/srv/{name}"), [b"ours\n"])
            channel.carry(f"echo ours > /srv/{name}")
        found: list[bytes] = []
        status, said = channel.carry(get_command(str(victim / "file")), sink=found.append)
    assert b"controller's" not in b"".join(found)
    assert (status, said) == (1, "not a regular file in the tree")


def test_a_tree_with_a_link_as_mount_point_is_refused(tree: Path, tmp_path: Path) -> None:
    (tree / "proc").rmdir()
    (tree / "proc").symlink_to(tmp_path)
    run = deploy(tree)
    assert run.returncode == 1
    assert "is no root tree: proc there is not a folder of its own" in run.said
    assert "Traceback" not in run.said


def test_device_nodes_do_not_open_and_are_not_made(channel: Channel, shared: Path) -> None:
    os.mknod(shared / "srv/disk", 0o666 | stat.S_IFBLK, os.makedev(7, 0))
    os.mknod(shared / "srv/null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    for name in ("disk", "null"):
        status, said = channel.carry(f"head -c 1 /srv/{name}")
        assert (status, "Permission denied" in said) == (1, True)
    for command in ("mknod /srv/new b 7 0", "mount -t tmpfs none /mnt", "echo 1 > /proc/sys/kernel/printk"):
        status, _ = channel.carry(command)
        assert status != 0, command
    assert channel.carry(put_command("/srv/null"), [b"a file\n"]) == (0, "")
    assert (shared / "srv/null").read_text() == "a file\n"


def test_nothing_else_is_reached(channel: Channel) -> None:
    """Processes, network and terminal of the controller."""
    found: list[bytes] = []
    channel.carry("ls /proc | grep -c '^[0-9]'; ls /sys/class/net 2>/dev/null; hostname", sink=found.append)
    processes, host = b"".join(found).split()
    assert int(processes) < 10
    assert host == b"localhost"
    assert channel.carry("echo typed > /dev/tty")[0] != 0


def test_a_fifo_in_place_of_a_file_ends_at_the_deadline(channel: Channel, shared: Path) -> None:
    os.mkfifo(shared / "srv/fifo")
    assert channel.carry(get_command("/srv/fifo")) == (1, "not a regular file in the tree")
    assert channel.carry(put_command("/srv/fifo"), [b"a file\n"]) == (0, "")
    os.mkfifo(shared / "srv/other")
    with pytest.raises(Late, match="no sign of life for 2 s"):
        Channel(channel.sandbox, patience=2).carry("cat > /srv/other", [b"x"])


def test_a_deploy_onto_a_fifo_fails_with_the_reason(tree: Path) -> None:
    os.mkfifo(tree / "usr/lib/sysusers.d/boardllama.conf.new")
    run = deploy(tree, "--data", "tree_deadline=30")
    assert run.returncode == 1
    assert "no sign of life for 30 s" in run.said
    assert "Configure | Make the account and folders" in run.failed


def test_output_without_end_is_cut_off(channel: Channel) -> None:
    heard: list[str] = []
    status = channel.listen("cat /dev/zero", lambda _, line: heard.append(line[:99]))
    assert status is None
    assert "more than 32 MiB" in heard[0]


def test_bytes_that_are_no_text_are_output_too(channel: Channel) -> None:
    heard: list[str] = []
    assert channel.listen(r"printf 'a\377\nb'", lambda _, line: heard.append(line)) == 0
    assert heard == ["a\N{REPLACEMENT CHARACTER}", "b"]


def test_a_full_disk_is_said_and_leaves_no_rest(debian: Path, tmp_path: Path) -> None:
    """The tree lies on a small file system, in mounts of its own."""
    place, big = tmp_path / "small", tmp_path / "big"
    place.mkdir()
    with big.open("wb") as file:
        file.truncate(40 << 20)
    script = (
        f"mount -t tmpfs -o size=280m none {place} && cp -a {debian}/. {place} &&"
        f" head -c $(( $(df -Pk {place} | awk 'END {{print $4}}') - 20000 ))K /dev/zero > {place}/srv/filler;"
        f" {PYINFRA} -y {' '.join(DEPLOY)}; echo status $?;"
        f" {PYINFRA} -y --limit targets {DEPLOY[0]} files.put src={big} dest=/srv/big; echo status $?;"
        f" ls -A {place}/srv"
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        cwd=REPO,
        env=environment(place),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.stdout.split("\n")[-4:] == ["status 1", "status 1", "filler", ""], done.stderr
    assert "MB free on the target, of which 32 must stay free" in done.stderr
    assert "No space left on device" in done.stderr
