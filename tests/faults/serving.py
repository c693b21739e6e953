"""How long a target takes from power to its first healthy answer."""

import threading
import time
from types import TracebackType

import requests

from deploy.errors import BoardllamaError
from tests.faults.lab import Lab

DEADLINE = 120.0


class HealthWatch:
    """Context manager: counts from enter; exit waits for the answer, for `give_up`, or for DEADLINE seconds."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.seconds: float | None = None
        self.give_up = threading.Event()

    def __enter__(self) -> "HealthWatch":
        self.began = time.monotonic()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        if kind:
            self.give_up.set()
        self.thread.join()

    def watch(self) -> None:
        """Asks through the VM's front door. It answers for the service as soon as the guest has a network."""
        while time.monotonic() - self.began < DEADLINE:
            if healthy(self.lab):
                self.seconds = round(time.monotonic() - self.began, 1)
                return
            if self.give_up.wait(0.5):
                return


def healthy(lab: Lab) -> bool:
    """Whether /health answers 200 now. Before the guest is up the port takes connections and says nothing."""
    try:
        return requests.get(f"{lab.machine.api_url}/health", timeout=2).status_code == 200
    except (requests.RequestException, BoardllamaError):
        return False
