"""Faults that a target is in when a change begins: a full disk, a read-only one, a wrong clock, a damaged file."""

import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.faults.fault import EITHER, ONLY_NEW, Fault, Run, Struck, Trial, must_fail

MEGABYTE = 1_000_000
FILLER = "/var/filler"
DAMAGE = Path(__file__).resolve().parent / "on_target" / "damage.py"
# Makes empty files until only so many inodes are left.
CROWD = """
import os, sys
os.makedirs("/var/crowd", exist_ok=True)
for number in range(max(0, os.statvfs("/").f_favail - int(sys.argv[1]))):
    os.close(os.open(f"/var/crowd/{number}", os.O_CREAT))
"""


class DiskFull(Fault):
    """Some kilobytes to 100 MB are left, each order of magnitude as often: every stage meets the end of the disk."""

    name = "disk-full"

    def strike(self, trial: Trial) -> Struck:
        left = 10 ** trial.dice.uniform(3.6, 8)
        free = int(trial.lab.run("df -B1 --output=avail /var | tail -n 1"))
        trial.lab.run(f"fallocate -l {max(1, free - int(left))} {FILLER}")
        ended = trial.controller().to_the_end()
        return Struck(f"{left / MEGABYTE:.3f} MB left, status {ended.returncode}", complaint=traceback_in(ended.said))

    def heal(self, trial: Trial) -> None:
        trial.lab.run(f"rm -f {FILLER}")


class NoInodes(Fault):
    """The disk has room but takes no more than a few files."""

    name = "no-inodes"

    def strike(self, trial: Trial) -> Struck:
        left = trial.dice.randint(0, 40)
        trial.lab.run(f"python3 -c {shlex.quote(CROWD)} {left}", deadline=600)
        ended = trial.controller().to_the_end()
        return Struck(f"{left} inodes left, status {ended.returncode}", complaint=traceback_in(ended.said))

    def heal(self, trial: Trial) -> None:
        trial.lab.run("rm -rf /var/crowd", deadline=600)


class SmallTmp(Fault):
    """/tmp is a RAM disk of 64 MB, as on boards. No change may need more."""

    name = "small-tmp"
    allowed = ONLY_NEW

    def strike(self, trial: Trial) -> Struck:
        trial.lab.run("mount -t tmpfs -o size=64m tmpfs /tmp")
        return Struck("from the start", complaint=failure(trial))


class ReadOnlyRoot(Fault):
    """The kernel makes the root read-only, as it does after an error of the card."""

    name = "read-only-root"
    allowed = EITHER

    def strike(self, trial: Trial) -> Struck:
        run = Run(trial.controller().start())
        struck = run.sleep_until(trial.moment() if trial.dice.random() < 0.7 else 0.0)
        trial.lab.run("echo u > /proc/sysrq-trigger; sleep 1; touch /var/probe 2>&1 | grep -q Read-only")
        run.controller.wait()
        run.controller.kill()
        ended = run.controller.result()
        return Struck(f"{struck:.2f} s, status {ended.returncode}", complaint=traceback_in(ended.said))

    def heal(self, trial: Trial) -> None:
        trial.lab.run("mount -o remount,rw /; rm -f /var/probe")


@dataclass
class WrongClock(Fault):
    """The target's clock is that many days off, and no time server is there to mend it."""

    days: int

    def __post_init__(self) -> None:
        self.name = "clock-ahead" if self.days > 0 else "clock-back"
        self.allowed = ONLY_NEW

    def strike(self, trial: Trial) -> Struck:
        trial.lab.run(f"date -s @$(( $(date +%s) + {self.days * 86400} ))")
        return Struck(f"{self.days} days", complaint=failure(trial))


@dataclass
class Damaged(Fault):
    """A file of the release that is served was damaged; the change brings it anew."""

    file: str
    kind: str

    def __post_init__(self) -> None:
        self.name = f"{self.file}-{self.kind}"
        self.allowed = ONLY_NEW

    def strike(self, trial: Trial) -> Struck:
        machine = trial.lab.machine
        seed = trial.dice.randrange(1 << 30)
        line = ["ssh", "-F", str(machine.ssh_config), machine.name, "python3", "-", self.path(trial), self.kind]
        done = subprocess.run([*line, str(seed)], input=DAMAGE.read_bytes(), capture_output=True, check=True)
        return Struck(done.stdout.decode().strip(), complaint=failure(trial))

    def path(self, trial: Trial) -> str:
        """The real path of what the running server uses."""
        process = "/proc/$(systemctl show -p MainPID --value ollama-cpp-server.service)"
        if self.file == "program":
            return trial.lab.run(f"readlink -f {process}/exe").strip()
        return trial.lab.run(
            f"realpath \"$(tr '\\0' '\\n' < {process}/cmdline | sed -n '/^--model$/{{n;p}}')\""
        ).strip()


class TwoAtOnce(Fault):
    """A second deploy begins while the first is at work. It is refused; the first is not disturbed."""

    name = "two-at-once"

    def strike(self, trial: Trial) -> Struck:
        first = Run(trial.controller().start())
        struck = first.sleep_until(trial.dice.uniform(0, trial.reference.seconds / 2))
        second = trial.controller().to_the_end()
        first.controller.wait()
        first.controller.kill()
        ended = [first.controller.result(), second]
        codes = [one.returncode for one in ended]
        where = f"second after {struck:.2f} s, statuses {codes}"
        if codes.count(0) != 1:
            return Struck(where, complaint=f"one of the two has to be refused, their statuses are {codes}")
        return Struck(where, complaint=must_fail(next(one for one in ended if one.returncode)))


def failure(trial: Trial) -> str:
    """Makes the change; a complaint when it failed."""
    ended = trial.controller().to_the_end()
    return "" if ended.returncode == 0 else f"the deploy failed: {ended.said.strip()[-300:]}"


def traceback_in(said: str) -> str:
    """A complaint when a deploy shows its inside."""
    return "the deploy failed with a traceback" if "Traceback" in said else ""
