"""A hub that misbehaves while a model is fetched from it: it comes whole, or the target never notices."""

import shutil
from dataclasses import dataclass
from typing import ClassVar

from tests.faults.cache_copy import copy_cache
from tests.faults.changes import other_model
from tests.faults.fault import ONLY_NEW, ONLY_OLD, Fault, Struck, Trial, must_fail, must_succeed
from tests.hub_faults import Fault as HubFault
from tests.hub_server import HubServer

# A client that asks for the rest gets all of the model from these in the end.
OVERCOME = (HubFault.CLOSE, HubFault.STALL, HubFault.CLOSE_THEN_ALL)
# Such a hub is slow but alive: an operator waits so long for it, in seconds, and gives up.
ALIVE = (HubFault.TRICKLE,)
PATIENCE = 60.0


@dataclass
class BadHub(Fault):
    """One fault of tests/hub_server.py; a body is cut after `share` of its bytes.

    The hub has the very model that the change takes from a file, so that what is served can be compared.
    """

    fault: HubFault
    share: float = 0.99
    fetches: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.name = f"hub-{self.fault.name.lower().replace('_', '-')}"
        self.allowed = ONLY_NEW if self.fault in OVERCOME else ONLY_OLD

    def strike(self, trial: Trial) -> Struck:
        cache = trial.lab.folder / "cache-hub"
        shutil.rmtree(cache, ignore_errors=True)
        copy_cache(cache, without="models")
        source = other_model(trial.lab)
        with HubServer(fault=self.fault, after=int(source.stat().st_size * self.share)) as hub:
            model = hub.publish("owner/model", source.name, source.read_bytes())
            pins = {"repo": model.repo, "file": model.file, "revision": model.revision}
            pins |= {"sha256": model.sha256, "size": str(model.size)}
            settings = ("model=hub", *(f"model_{name}={value}" for name, value in pins.items()))
            environment = {"HF_ENDPOINT": hub.url, "BOARDLLAMA_CACHE": str(cache), "NO_PROXY": "127.0.0.1,localhost"}
            controller = trial.controller(*settings, env=environment).start()
            if self.fault in ALIVE:
                by_itself = controller.wait(PATIENCE)
                controller.kill()
                where = f"given up after {PATIENCE:.0f} s, {hub.sent()} bytes came"
                return Struck(where, complaint="the deploy ended by itself" if by_itself else "")
            if not controller.wait():
                controller.kill()
            came = hub.sent()
        ended = controller.result()
        wrong = must_succeed(ended) if self.fault in OVERCOME else must_fail(ended)
        return Struck(f"status {ended.returncode}, {came} bytes came", complaint=wrong)
