"""Releases that are bad although their build was proven: each must be taken back, and the old one serve on."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tests.faults.cache_copy import build_info, with_other_server
from tests.faults.fault import ONLY_OLD, Fault, Struck, Trial, must_fail

FAKE = Path(__file__).resolve().parent / "on_target" / "fake_server.py"
# What is wrong with the server → the settings that make a gate see it, sooner than their defaults would.
MANNERS: dict[str, tuple[str, ...]] = {
    "exits": (),
    "crashes": (),
    "hangs": ("health_deadline=20",),
    "loading": ("health_deadline=20",),
    "empty": (),
    "slow": ("min_tokens_per_second=5",),
    "refuses": (),
}


@dataclass
class BadRelease(Fault):
    """A llama-server that is bad in one manner of on_target/fake_server.py."""

    manner: str

    def __post_init__(self) -> None:
        self.name = f"release-{self.manner}"
        self.allowed = ONLY_OLD

    def strike(self, trial: Trial) -> Struck:
        about = PurePosixPath(trial.reference.old.program_path).with_name("manifest.json")
        build = json.loads(trial.lab.run(f"cat {about}"))["name"]
        folder = trial.lab.folder / f"cache-{self.manner}"
        shutil.rmtree(folder, ignore_errors=True)
        cache = with_other_server(folder, build, fake(self.manner, build_info(build)))
        ended = trial.controller(*MANNERS[self.manner], env={"BOARDLLAMA_CACHE": str(cache)}).to_the_end()
        return Struck(f"status {ended.returncode}", complaint=must_fail(ended))


def fake(manner: str, build: str) -> bytes:
    """The program that takes llama-server's place."""
    text = FAKE.read_text()
    for name, default, value in (("MANNER", "well", manner), ("BUILD_INFO", "unknown", build)):
        line = f'{name} = "{default}"\n'
        assert line in text
        text = text.replace(line, f'{name} = "{value}"\n')
    return text.encode()
