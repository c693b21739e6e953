"""Faults at a moment: the target's power, the controller, the network between them."""

from dataclasses import dataclass

from tests.faults.fault import Fault, Run, Struck, Trial
from tests.faults.recording import Recording, record
from tests.faults.relay import Relay
from tests.faults.serving import HealthWatch
from tests.faults.write_log import replay

# A target that nobody talks to any more: so long until what it was doing alone is done.
SETTLE = 180.0


class PowerCut(Fault):
    """QEMU is killed: all that the guest wrote is there, what it held in memory is not."""

    name = "power-cut"

    def strike(self, trial: Trial) -> Struck:
        moment = trial.moment()
        run = Run(trial.controller().start())
        struck = run.sleep_until(moment)
        trial.lab.cut()
        run.controller.kill()
        return boot(trial, f"{struck:.2f} s")


class FlushCut(Fault):
    """A cut that loses what was not flushed: the change's recorded writes up to the last flush before the moment."""

    name = "power-cut-unflushed"

    def prepare(self, trial: Trial) -> None:
        """The recording is made once; the disk of a row comes from it, so nothing has to be booted first."""
        record(trial.lab, trial.change)
        trial.lab.restore(trial.change.start)

    def strike(self, trial: Trial) -> Struck:
        recording = Recording.of(trial.lab, trial.change)
        entry = trial.dice.randint(recording.first, recording.last)
        replay(recording.log, trial.lab.machine.disk, entry)
        return boot(trial, f"write {entry - recording.first} of {recording.last - recording.first}")


def boot(trial: Trial, where: str) -> Struck:
    """The power is back. A target that is not about to serve, as before its first deploy, is not waited for."""
    with HealthWatch(trial.lab) as watch:
        trial.lab.up()
        if not trial.lab.should_serve():
            watch.give_up.set()
    return Struck(where, watch.seconds)


@dataclass
class ControllerKilled(Fault):
    """SIGKILL to pyinfra, alone or with all of its process group. The target goes on alone for a while."""

    group: bool

    def __post_init__(self) -> None:
        self.name = "controller-group-killed" if self.group else "controller-killed"

    def strike(self, trial: Trial) -> Struck:
        moment = trial.moment()
        run = Run(trial.controller().start())
        struck = run.sleep_until(moment)
        run.controller.kill(self.group)
        settle(trial)
        return Struck(f"{struck:.2f} s")


@dataclass
class NetworkCut(Fault):
    """The connection goes silent, or is reset. The controller is given up a little later."""

    silent: bool

    def __post_init__(self) -> None:
        self.name = "network-silent" if self.silent else "network-reset"

    def strike(self, trial: Trial) -> Struck:
        moment = trial.moment()
        with Relay(trial.lab.machine.ssh_port) as relay:
            run = Run(trial.controller(*through(trial, relay)).start())
            struck = run.sleep_until(moment)
            if self.silent:
                relay.blackhole()
            else:
                relay.reset()
            run.controller.wait(5)
            run.controller.kill()
            settle(trial)
            return Struck(f"{struck:.2f} s, {relay.carried >> 10} KiB")


def through(trial: Trial, relay: Relay) -> tuple[str, ...]:
    """Settings that lead pyinfra to the relay. Its port is new every time: known hosts of its own."""
    hosts = trial.lab.folder / "relay_known_hosts"
    hosts.unlink(missing_ok=True)
    hosts.touch()
    return f"ssh_port={relay.port}", f"ssh_known_hosts_file={hosts}"


def settle(trial: Trial) -> None:
    """Waits until the target no longer works on what the lost controller had it do."""
    busy = "systemctl is-active --quiet boardllama-switch.service || systemctl list-jobs --no-legend | grep -q ."
    trial.lab.run(f"timeout {SETTLE:.0f} sh -c 'while {busy}; do sleep 0.5; done'; true")
