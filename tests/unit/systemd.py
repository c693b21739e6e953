"""In the place of systemd's programs on a target in a folder: they start what it would, and note the call."""

import pytest

from tests.unit.onboard import Target

__all__ = ["OVERRIDE", "Systemd", "systemd"]

# Where a unit of the operator's own stands before those of the releases: systemd.unit(5), "unit file load path".
OVERRIDE = "etc/systemd/system"
SYSTEMCTL = """#!/bin/sh
echo "$@" >>{folder}/asked
case $1 in
daemon-reload) for unit in {units}; do test ! -e $unit || {{ cp $unit {folder}/loaded; break; }}; done ;;
restart)
    test ! -e {folder}/refusal || {{ cat {folder}/refusal >&2; exit 1; }}
    release=$(readlink -f $(sed -n 's|^ExecStart=\\(.*\\)/boardllama launch$|\\1|p' {folder}/loaded))
    printf '127.0.0.1 11434 /health\\nrelease %s\\n' ${{release##*/}} >{started} ;;
is-active) test -e {folder}/switching ;;
show) printf 'ActiveState=%s\\nResult=exit-code\\nExecMainStatus=78\\n' "$(cat {folder}/state)" ;;
esac
"""


# Notes the unit that it is to start, which is the one of a switch.
SYSTEMD_RUN = """#!/bin/sh
test ! -e {folder}/refusal || {{ cat {folder}/refusal >&2; exit 1; }}
printf '%s\\n' "$@" >{folder}/ran
"""
# A journal without the name of a unit is the whole machine's.
JOURNALCTL = '#!/bin/sh\ncase "$*" in *"--unit "*.service*) echo its last line ;; *) echo of others ;; esac\n'


class Systemd:
    """Its unit is `active`. `refusal`: what a restart fails with."""

    def __init__(self, target: Target) -> None:
        self.folder, self.override = target.root / "systemd", target.root / OVERRIDE / target.service.unit
        for folder in (self.folder, self.override.parent, target.service.runtime):
            folder.mkdir(parents=True, exist_ok=True)
        units = f"{self.override} {target.trial} {target.public_unit}"
        texts = {"systemctl": SYSTEMCTL, "systemd-run": SYSTEMD_RUN, "journalctl": JOURNALCTL}
        for name, text in texts.items():
            (self.folder / name).write_text(
                text.format(folder=self.folder, units=units, started=target.service.started)
            )
            (self.folder / name).chmod(0o755)
        self.is_in("active")

    def is_in(self, state: str) -> None:
        """What it says of the unit from now on."""
        (self.folder / "state").write_text(state)

    def switches(self) -> None:
        """A switch is under way from now on."""
        (self.folder / "switching").touch()

    def refuse(self, words: str) -> None:
        """Nothing is started any more."""
        (self.folder / "refusal").write_text(words)

    @property
    def loaded(self) -> str:
        """The unit as it was read last, which is what a restart starts."""
        return (self.folder / "loaded").read_text()

    @property
    def ran(self) -> list[str]:
        """The words of the last systemd-run."""
        return (self.folder / "ran").read_text().splitlines()

    @property
    def asked(self) -> list[str]:
        """The words of each call."""
        return (self.folder / "asked").read_text().splitlines()


@pytest.fixture
def systemd(target: Target, monkeypatch: pytest.MonkeyPatch) -> Systemd:
    """The one of the target."""
    made = Systemd(target)
    monkeypatch.setenv("PATH", f"{made.folder}:/usr/bin:/bin")
    return made
