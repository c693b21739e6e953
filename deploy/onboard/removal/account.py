"""The account of the servers: removed where a deploy has made it."""

from pathlib import Path

from ..commands import run_command

# What templates/sysusers.conf.j2 says of it.
ABOUT = "LLM server"


def account_line(root: Path, file: str, name: str) -> list[str]:
    """The fields of an account or group; none where there is no such."""
    path = root / "etc" / file
    lines = path.read_text().splitlines() if path.is_file() else []
    return next((fields for line in lines if (fields := line.split(":"))[0] == name), [])


def remove_account(root: Path, name: str, home: str) -> list[str]:
    """Removes user and group as systemd-sysusers made them. Returns a sentence where another made the user.

    Raises ProgramFailed.
    """
    user = account_line(root, "passwd", name)
    if user and user[4:6] != [ABOUT, home]:
        return [f"the account {name}: a deploy has not made it"]
    if user:
        run_command("userdel", name)
    group = account_line(root, "group", name)
    if group and not group[3]:
        run_command("groupdel", name)
    return []
