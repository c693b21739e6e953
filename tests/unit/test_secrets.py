"""A canary for each secret of an inventory goes through a real run: nothing printed, written or started has it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy.hosts.text_files import TextFile, diff_lines
from tests.canary import environments_with, files_with, processes_with, watched_command_lines
from tests.unit.test_plan import INVENTORY, PI_5, a_board, deploy

SECRETS = ("api_key", "client", "monitor_password", "monitor_mail_password", "webhook", "git", "group")
PYINFRAS = ("ssh_password", "_sudo_password")
CANARIES = {name: f"canary{name.replace('_', '')}nary" for name in (*SECRETS, *PYINFRAS)}
ROLES = """
gateways = [("@fake/gate", {{"gateway_clients": {clients!r}}})]
monitors = [("@fake/watch", {monitor!r})]
"""


def inventory_with(folder: Path) -> str:
    """An inventory that has them all."""
    (clients := folder / "clients.txt").write_text(f"me {CANARIES['client']}\n")
    monitor = {name: CANARIES[name] for name in ("monitor_password", "monitor_mail_password")}
    monitor |= {"monitor_host": "0.0.0.0", "monitor_webhook": f"https://hooks.example/{CANARIES['webhook']}"}
    monitor |= {"monitor_email": "a@b.example", "monitor_email_from": "a@b.example", "monitor_mail_user": "a"}
    monitor |= {"monitor_mail_server": "b.example:25"}
    (folder / "group_data").mkdir()
    (folder / "group_data/targets.py").write_text(f"site_password = {CANARIES['group']!r}\n")
    text = ROLES.format(clients=str(clients), monitor=monitor)
    return INVENTORY + text.replace("{", "{{").replace("}", "}}")


def board_with() -> tuple[str, dict[str, object]]:
    """A board that has those of boards."""
    own = {name: CANARIES[name] for name in ("api_key", "ssh_password", "_sudo_password")}
    own |= {"llama_git_url": f"https://me:{CANARIES['git']}@git.example/x.git", "server_host": "0.0.0.0"}
    return a_board(PI_5, "kitchen", **own)


@pytest.mark.parametrize("options", [("--dry", "--diff", "-vvv", "--debug"), ("-y", "--diff", "-vvv", "--debug")])
def test_no_run_shows_a_secret(tmp_path: Path, options: tuple[str, ...]) -> None:
    reports = [f"--data=report_{kind}={tmp_path / kind}" for kind in ("json", "junit")]
    with watched_command_lines(*CANARIES.values()) as seen:
        done = deploy(
            tmp_path, [board_with()], *options, *reports, builder="@fake/builder", inventory=inventory_with(tmp_path)
        )
    said = done.stdout + done.stderr
    assert "@fake/kitchen" in said and "@fake/watch" in said, said
    assert [name for name, word in CANARIES.items() if word in said] == []
    assert seen == set()
    kept = {"fake_boards.py", "clients.txt", "targets.py"}  # what this test itself has written
    for word in CANARIES.values():
        assert [path for path in files_with(word.encode(), tmp_path) if Path(path).name not in kept] == []


def test_a_wrong_setting_is_told_without_the_secrets(tmp_path: Path) -> None:
    board = a_board(PI_5, "kitchen", api_key=f"{CANARIES['api_key']} with blanks", threads="many")
    done = deploy(tmp_path, [board], "--dry", "-vvv", builder="@fake/builder")
    assert done.returncode and "threads" in done.stderr and CANARIES["api_key"] not in done.stdout + done.stderr


def test_a_secret_file_that_differs_is_named_and_not_shown() -> None:
    file = TextFile("/etc/x.yml", "password: canary\n", "640", secret=True)
    assert diff_lines(file, None) == ["/etc/x.yml differs; its lines are not shown"]
    assert any("canary" in line for line in diff_lines(TextFile("/etc/x.yml", "canary\n"), None))


def test_the_watcher_sees_what_it_looks_for(tmp_path: Path) -> None:
    with watched_command_lines("canary-word") as seen:
        subprocess.run([sys.executable, "-c", "import time; time.sleep(0.5)", "canary-word"], check=True)
    assert any("canary-word" in line for line in seen)
    with subprocess.Popen(["sleep", "60"], env=os.environ | {"X": "canary-word"}) as running:
        while not Path(f"/proc/{running.pid}/cmdline").read_bytes():  # it has its environment before its words
            time.sleep(0.01)
        assert environments_with(b"canary-word") == {"sleep 60 "} and not processes_with(b"canary-word")
        running.kill()
    (tmp_path / "a").write_text(json.dumps("canary-word"))
    assert files_with(b"canary-word", tmp_path) == [str(tmp_path / "a")]
