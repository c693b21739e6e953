"""`python -m deploy.controller.audit PIP_AUDIT LOCK...`: known vulnerabilities of the pinned Python packages.

pip-audit alone calls it a success when PyPI's JSON API does not answer, as behind a mirror: it skips the packages. Here
that is a status of its own, NOT_AUDITED, so that nobody takes silence for good news. `.ci/run` says what CI does then.
"""

import subprocess
import sys
from typing import Any

from deploy.onboard.json_parts import parse_json

VULNERABLE, NOT_AUDITED = 1, 75
DEADLINE = 600.0


def judge_report(report: dict[str, Any], lock: str) -> tuple[int, list[str]]:
    """The exit status and the lines for people, of what pip-audit wrote as JSON about a lock file."""
    packages = report["dependencies"]
    found = [
        f"{package['name']} {package['version']}: {weakness['id']}, {mended(weakness['fix_versions'])}"
        for package in packages
        for weakness in package.get("vulns", [])
    ]
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    if unknown:
        found.append(
            f"{lock}: not audited: of {len(packages)} packages PyPI's JSON API knows {len(packages) - len(unknown)}: "
            "is it a mirror? Ask from a network that reaches https://pypi.org"
        )
    status = VULNERABLE if len(found) > bool(unknown) else NOT_AUDITED if unknown else 0
    return status, found or [f"{lock}: no known vulnerability of {len(packages)} packages"]


def mended(versions: list[str]) -> str:
    """What to do: the versions without the weakness."""
    return f"mended in {', '.join(versions)}: pin it in pyproject.toml, `make lock`" if versions else "not mended yet"


def audit_lock(program: str, lock: str) -> tuple[int, list[str]]:
    """As `judge_report`, of what pip-audit finds now."""
    words = [program, "--requirement", lock, "--require-hashes", "--disable-pip", "--format", "json"]
    done = subprocess.run([*words, "--progress-spinner", "off"], capture_output=True, text=True, timeout=DEADLINE)
    try:
        return judge_report(parse_json(done.stdout), lock)
    except ValueError:
        said = (done.stderr.strip() or f"pip-audit ended with status {done.returncode}").splitlines()[-1]
        return NOT_AUDITED, [f"{lock}: not audited: {said}"]


def main(program: str, *locks: str) -> int:
    judged = [audit_lock(program, lock) for lock in locks]
    print("\n".join(line for _, lines in judged for line in lines))
    statuses = {status for status, _ in judged}
    return VULNERABLE if VULNERABLE in statuses else max(statuses)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
