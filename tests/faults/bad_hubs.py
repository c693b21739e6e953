"""A hub that misbehaves while a model is fetched from it: the target never notices."""

import shutil
from dataclasses import dataclass

from deploy.models import smoke
from tests.faults.cache_copy import copy_cache
from tests.faults.fault import ONLY_OLD, Fault, Struck, Trial, must_fail
from tests.hub_faults import Fault as HubFault
from tests.hub_server import HubServer

SIZE = 2_000_000
# A hub that is slow but alive may be waited for; so long does an operator, in seconds.
PATIENCE = 60.0


@dataclass
class BadHub(Fault):
    """One fault of tests/hub_server.py; a body is cut after `share` of its bytes."""

    fault: HubFault
    share: float = 0.99

    def __post_init__(self) -> None:
        self.name = f"hub-{self.fault.name.lower().replace('_', '-')}"
        self.allowed = ONLY_OLD

    def strike(self, trial: Trial) -> Struck:
        cache = trial.lab.folder / "cache-hub"
        shutil.rmtree(cache, ignore_errors=True)
        copy_cache(cache, without="models")
        with HubServer(fault=self.fault, after=int(SIZE * self.share)) as hub:
            environment = {"HF_ENDPOINT": hub.url, "BOARDLLAMA_CACHE": str(cache), "NO_PROXY": "127.0.0.1,localhost"}
            controller = trial.controller(*self.settings(trial, hub), env=environment).start()
            if not controller.wait(PATIENCE):
                controller.kill()
                return Struck(f"given up after {PATIENCE:.0f} s, {hub.sent()} bytes came")
        ended = controller.result()
        return Struck(f"status {ended.returncode}, {hub.sent()} bytes came", complaint=must_fail(ended))

    def settings(self, trial: Trial, hub: HubServer) -> tuple[str, ...]:
        """A model that only this hub has."""
        content = smoke.smoke_model().read_bytes()
        model = hub.publish("owner/model", "hub.gguf", content + trial.dice.randbytes(SIZE - len(content)))
        pins = {"repo": model.repo, "file": model.file, "revision": model.revision}
        pins |= {"sha256": model.sha256, "size": str(model.size)}
        return "model=hub", *(f"model_{name}={value}" for name, value in pins.items())
