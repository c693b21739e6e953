"""Runs on the target as `python3 - LAYOUT` and prints what it serves and holds, as one JSON object.

Standard library only. It changes nothing there.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypedDict


class Layout(TypedDict):
    """Where things lie; see tests/faults/target_layout.py."""

    unit: str
    url: str
    key: str
    started: str
    config: str
    launcher: str
    switch: str
    folders: list[str]
    unfinished: str
    searched: list[str]


def run(*command: str) -> str:
    """Standard output; empty when it fails."""
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False).stdout


def sha256(path: str) -> str:
    """Hash of a file's content, or why there is none."""
    digest = hashlib.sha256()
    try:
        with Path(path).open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        return str(error.strerror)
    return digest.hexdigest()


def unit_facts(unit: str) -> dict[str, str]:
    """What systemd says about the unit."""
    names = "ActiveState,SubState,Result,MainPID,FragmentPath,NeedDaemonReload,UnitFileState"
    return dict(line.split("=", 1) for line in run("systemctl", "show", "-p", names, unit).splitlines() if "=" in line)


def running_release(started: str) -> str:
    """Its id; empty when nothing was started."""
    try:
        return Path(started).read_text().splitlines()[1].split()[1]
    except (OSError, IndexError):
        return ""


def await_verdict(switch: str) -> None:
    """What the target still does by itself is not judged before it is done."""
    for _ in range(300):
        if subprocess.run(["systemctl", "is-active", "--quiet", switch], check=False).returncode:
            return
        time.sleep(1)


def served(layout: Layout, facts: dict[str, str]) -> "dict[str, Any] | None":
    """What the running server is made of: hashes of its program, model, config, unit and launcher, and its argv."""
    process = facts.get("MainPID", "0")
    try:
        argv = Path(f"/proc/{process}/cmdline").read_text().split("\0")[:-1]
    except OSError:
        return None
    model = argv[argv.index("--model") + 1] if "--model" in argv else ""
    release = running_release(layout["started"])
    return {
        "program": sha256(f"/proc/{process}/exe"),
        "program_path": os.path.realpath(f"/proc/{process}/exe"),
        "argv": argv,
        "model": sha256(model),
        "config": sha256(layout["config"].format(release=release)),
        "unit": sha256(facts["FragmentPath"]),
        "launcher": sha256(layout["launcher"].format(release=release)),
    }


def api_key(path: str) -> str:
    """The key, or an empty word."""
    try:
        lines = Path(path).read_text().split()
    except OSError:
        return ""
    return next((line for line in lines if not line.startswith("#")), "")


def ask(url: str, key: str, body: "dict[str, Any] | None" = None) -> "tuple[int, str]":
    """Status and body; 0 when nothing answers."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=60) as answer:
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except OSError as error:
        return 0, str(error)


def files_below(folders: list[str]) -> Iterator[Path]:
    """Regular files, links not followed."""
    for top in folders:
        for folder, _, names in os.walk(top):
            for name in names:
                path = Path(folder, name)
                if path.is_file() and not path.is_symlink():
                    yield path


def contains(path: Path, word: bytes) -> bool:
    """Whether a file that everyone may read holds the word. Large files are models and journals: those are known."""
    try:
        stat = path.stat()
        return bool(stat.st_mode & 0o004) and 0 < stat.st_size < 1 << 24 and word in path.read_bytes()
    except OSError:
        return False


def reachable(path: Path) -> bool:
    """Whether everyone may enter all folders above it."""
    return all(folder.stat().st_mode & 0o001 for folder in path.parents)


def leaks(layout: Layout, key: str) -> Iterator[str]:
    """Where the key can be read by others than the server."""
    if not key:
        return
    word = key.encode()
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word in process.read_bytes() and process.parent.name != str(os.getpid()):
                yield f"arguments of process {process.parent.name}"
        except OSError:
            continue
    if key in run("journalctl", "--output", "cat", "--no-pager", "--all"):
        yield "journal"
    if key in ask(f"{layout['url']}/props", key)[1]:
        yield "/props"
    yield from (str(path) for path in files_below(layout["searched"]) if contains(path, word) and reachable(path))


def main(layout: Layout) -> dict[str, Any]:
    """Everything that a judge needs."""
    await_verdict(layout["switch"])
    facts = unit_facts(layout["unit"])
    key = api_key(layout["key"])
    status, answer = ask(f"{layout['url']}/v1/completions", key, {"prompt": "The", "max_tokens": 4})
    files = list(files_below(layout["folders"]))
    return {
        "state": f"{facts.get('ActiveState', '')}/{facts.get('SubState', '')}/{facts.get('Result', '')}",
        "enabled": facts.get("UnitFileState") == "enabled",
        "reload": facts.get("NeedDaemonReload") == "yes",
        "served": served(layout, facts),
        "status": status,
        "answer": answer[:2000],
        "leaks": list(leaks(layout, key)),
        "unfinished": [str(path) for path in files if re.search(layout["unfinished"], path.name)],
        "used": sum(path.stat().st_blocks * 512 for path in files),
        "journal": run("journalctl", "-b", "-u", layout["unit"], "-n", "5", "-o", "cat", "--no-pager"),
    }


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
