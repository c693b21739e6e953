"""What is served: each llama-server of a target is a service of systemd, with paths and a port of its own."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import Any

from .places import Places

# What a service is there for: it answers with text, with vectors, with scores.
CHAT, EMBED, RERANK = "chat", "embed", "rerank"
ROLES = (CHAT, EMBED, RERANK)
# Brokers have no model: the front passes on to the servers what it is asked, and the other one speaks Ollama's API for
# them. Each with the path that it answers by itself, whatever the servers do.
FRONT, OLLAMA_API = "front", "ollama"
BROKERS = {FRONT: "/v1/models", OLLAMA_API: "/"}


@dataclass(frozen=True)
class Service:
    """A server on a target, as a release names it and everyone who works on it is given it.

    `account`: user and group that it runs as. `config`, `api_key`: files that it reads at every start. `models`: folder
    of GGUF files. `state`: home of the account. `runtime`: folder in /run, named as the unit, which systemd makes for
    it. `port`: where it listens unless its config says otherwise. `key_unit`: makes its API key before the first start.
    `folder`: where its files lie in a release; "" is the release's own folder. `role`: one of ROLES or BROKERS.
    """

    unit: str
    account: str
    config: Path
    api_key: Path
    models: Path
    state: Path
    runtime: Path
    port: int
    key_unit: str
    folder: str = ""
    role: str = CHAT

    @property
    def name(self) -> str:
        """The unit's name without ".service"; the service's lines in the journal begin with it."""
        return self.unit.removesuffix(".service")

    @property
    def has_model(self) -> bool:
        """Whether it is a llama-server."""
        return self.role not in BROKERS

    @property
    def health_path(self) -> str:
        """What it is asked to see whether it hangs."""
        return BROKERS.get(self.role, "/health")

    @property
    def model_store(self) -> Path:
        """Models by their content, on the file system of the models: two releases may serve two files of one name."""
        return self.models / ".store"

    @property
    def started(self) -> Path:
        """The file in which the running server notes what it was started from."""
        return self.runtime / "started"

    @property
    def awaited(self) -> Path:
        """The file that is there while the launcher waits for the disk of the model; it says for which."""
        return self.runtime / "awaited"

    def public_unit(self, places: Places) -> Path:
        """The unit's public name."""
        return places.units / self.unit

    def trial_unit(self, places: Places) -> Path:
        """The unit of a release under trial, which systemd reads before the public one: systemd.unit(5)."""
        return places.runtime_units / self.unit

    def enabled(self, places: Places) -> Path:
        """The link that has systemd start it at boot."""
        return places.enabled / "multi-user.target.wants" / self.unit

    def public_key_unit(self, places: Places) -> Path:
        """The unit that makes a key before the server's first start. It is there where a key is wanted."""
        return places.units / self.key_unit

    def key_enabled(self, places: Places) -> Path:
        """The link that has systemd make the key."""
        return places.enabled / f"{self.unit}.requires" / self.key_unit

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> "Service":
        """The service as a release's manifest has it. Raises KeyError without a field; unknown fields are ignored.

        An older program wrote no role.
        """
        wanted = [field for field in fields(Service) if field.name in values or field.default is MISSING]
        read: dict[str, Any] = {field.name: values[field.name] for field in wanted}
        paths = {field.name: Path(read[field.name]) for field in wanted if field.type is Path}
        return Service(**read | paths)


# The server of the reference image, under the names that its users know.
OLLAMA = Service(
    unit="ollama-cpp-server.service",
    account="ollama",
    config=Path("/etc/ollama-cpp/config.json"),
    api_key=Path("/etc/ollama-cpp/api-key"),
    models=Path("/var/lib/ollama/models"),
    state=Path("/var/lib/ollama"),
    runtime=Path("/run/ollama-cpp-server"),
    port=11434,
    key_unit="boardllama-api-key.service",
)
# What a target serves where nothing says otherwise.
SERVICES = (OLLAMA,)


def service_beside(name: str, role: str, port: int) -> Service:
    """A further llama-server. It shares with OLLAMA the account, the folder of models and the API key."""
    unit = f"ollama-cpp-server-{name}"
    return replace(
        OLLAMA,
        unit=f"{unit}.service",
        config=OLLAMA.config.parent / name / OLLAMA.config.name,
        runtime=OLLAMA.runtime.with_name(unit),
        port=port,
        folder=f"server-{name}",
        role=role,
    )


def broker_service(role: str, port: int) -> Service:
    """The service of a role without a model."""
    unit = f"ollama-cpp-{role}"
    config, runtime = OLLAMA.config.with_name(f"{role}.json"), OLLAMA.runtime.with_name(unit)
    return replace(OLLAMA, unit=f"{unit}.service", config=config, runtime=runtime, port=port, folder=role, role=role)
