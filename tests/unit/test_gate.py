"""The gate: why a server did not start, as systemd tells it."""

from pathlib import Path

import pytest

from deploy.onboard import gate
from deploy.onboard.health import Unhealthy

MASKED = "Failed to restart ollama-cpp-server.service: Unit ollama-cpp-server.service is masked."
FAILED = "Job for ollama-cpp-server.service failed because the control process exited with error code.\nSee …"
SYSTEMCTL = """#!/bin/sh
case $1 in
restart) printf '%s\\n' "$SAID" >&2; exit 1 ;;
show) printf 'ActiveState=failed\\nResult=exit-code\\nExecMainStatus=78\\n' ;;
esac
"""


@pytest.mark.parametrize(("said", "reason"), [(MASKED, MASKED), (FAILED, "exit-code")])
def test_the_reason_is_systemds_own_where_it_did_not_even_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, reason: str
) -> None:
    stub = tmp_path / "systemctl"
    stub.write_text(SYSTEMCTL)
    stub.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("SAID", said)
    with pytest.raises(Unhealthy, match=reason):
        gate.restart(print)
