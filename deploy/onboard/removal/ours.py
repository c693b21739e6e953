"""What of boardllama is on this machine: found by paths, links and units' names, so that no release has to be whole."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from ..channel.subscription import APT, KEY, LIST, TOLD
from ..places import PRISTINE, Places
from ..service import OLLAMA, Service
from .traces import CERTBOT, CERTBOT_FILES, COMPANIONS, FOLDERS, GATEWAY, MONITOR, UNIT, Companion

# What stood in the place of a public name before the first release: release/public_names.py.
BEFORE = ".before-boardllama"
# An own file that is larger is no configuration: it stays where it is.
KEPT_BYTES = 16_000_000


class Ours:
    """`board`: the service whose folders, account and key all services of a board share."""

    def __init__(self, places: Places) -> None:
        self.places, self.board = places, service_below(places.root_folder)

    def at(self, path: str) -> Path:
        """An absolute path, on the machine of these places."""
        return self.places.root_folder / path.lstrip("/")

    def is_public_link(self, path: Path) -> bool:
        """Whether it is a name of a release."""
        return leads_below(path, self.places.root)

    def unit_files(self) -> list[Path]:
        """The units and timers that a deploy wrote, timers first. One that was there before, and is again, is none."""
        folders = (self.places.units, self.places.enabled)
        found = [path for folder in folders for path in entries(folder) if UNIT.fullmatch(path.name)]
        return sorted(filter(self.is_deployed_unit, found), key=lambda path: (path.suffix != ".timer", path.name))

    def is_deployed_unit(self, path: Path) -> bool:
        """Whether a file with a name of ours is a unit of ours. A server's in /etc is an operator's, which wins."""
        if path.name.startswith("boardllama-"):
            return True
        if path.is_symlink() or path.parent == self.places.enabled:
            return self.is_public_link(path)
        return f"{self.places.root}/" in path.read_text(errors="replace")

    def want_links(self) -> list[Path]:
        """The links that have systemd start these units, or mask them."""
        links = [link for kind in ("wants/*", "requires/*") for link in self.places.enabled.glob(f"*.{kind}")]
        links += entries(self.places.enabled)
        return [one for one in links if UNIT.fullmatch(one.name) and one.is_symlink() and not self.was_there(one.name)]

    def was_there(self, unit: str) -> bool:
        """Whether another unit of that name comes back, which was enabled as well."""
        return before_of(self.places.units / unit).exists()

    def unit_folders(self) -> list[Path]:
        """Folders of systemd that are about units of ours alone."""
        folders = [path for kind in ("d", "wants", "requires") for path in self.places.enabled.glob(f"*.{kind}")]
        return [path for path in folders if UNIT.fullmatch(path.stem)]

    def public_links(self) -> list[Path]:
        """The names of releases, but for models: programs, units, configurations. `boardllama` goes last."""
        programs = [path for path in entries(self.places.public_bin) if path.name != "boardllama"]
        there = [*programs, *entries(self.places.units), *below(self.board.config.parent)]
        return list(filter(self.is_public_link, there))

    def companions(self) -> list[Companion]:
        """Those that a deploy has told something here: keepalived's second file alone may be an operator's."""
        return [one for one in COMPANIONS if self.at(one.told[0]).exists()]

    def texts(self) -> list[Path]:
        """Small files that a deploy wrote and that are there, units aside."""
        places, channel = self.places, (self.places.channel / name for name in (TOLD, KEY, LIST, APT))
        told = (self.at(path) for one in self.companions() for path in one.told)
        named = (places.sysusers, places.tmpfiles, self.at(CERTBOT), *channel, self.board.api_key, *told)
        return [path for path in named if path.is_file()]

    def folders(self) -> list[Path]:
        """Folders with nothing but what was brought, but for the releases: they say what is ours until the end."""
        places = self.places
        patterns = ("/var/tmp/boardllama-tune.*", *CERTBOT_FILES)
        found = [path for one in patterns for path in sorted(self.places.root_folder.glob(one.lstrip("/")))]
        return [path for path in (*map(self.at, FOLDERS), places.channel_state, *found) if os.path.lexists(path)]

    def edited(self) -> dict[Path, Path]:
        """Files that an operator edited: where each lies, by its public name."""
        written = [*self.texts(), *self.unit_files(), *below(self.at(GATEWAY)), *below(self.at(MONITOR))]
        found = {path: path for path in written if path.is_file() and differs(path, self.record(path))}
        names = {Path(os.path.realpath(link)): link for link in self.public_links()}
        current = Path(os.path.realpath(self.places.current))
        for pristine in below(current / PRISTINE):
            own = current / pristine.relative_to(current / PRISTINE)
            if own.is_file() and differs(own, pristine):
                found[names.get(own, own)] = own
        return found

    def record(self, path: Path) -> Path:
        """Where the content of a small file's last deploy is kept: deploy/hosts/facts/target.py, record_path."""
        return self.places.records / str(path.relative_to(self.places.root_folder)).replace("/", "_")

    def own_files(self) -> list[Path]:
        """An operator's own files in folders of ours, and their units and drop-ins of ours."""
        kept = {self.board.api_key, *self.texts()}
        return [
            path
            for path in self.foreign_places()
            if path not in kept and not self.is_public_link(path) and path.suffix not in (BEFORE, ".new")
        ]

    def is_kept(self, path: Path) -> bool:
        """Whether an own file is small enough for the tar; a larger one stays."""
        return bytes_of([path]) <= KEPT_BYTES

    def foreign_places(self) -> Iterator[Path]:
        """All files where an operator may have put some."""
        units = [*self.places.enabled.glob("ollama-cpp-*.service"), *self.unit_files()]
        servers = (path for path in units if UNIT.fullmatch(path.name) and path.name.startswith("ollama-cpp-"))
        yield from (path for path in servers if not path.is_symlink())
        for folder in (self.board.config.parent, self.places.channel.parent, *self.unit_folders()):
            yield from (
                path for path in below(folder) if not (path.is_symlink() and folder.suffix in (".wants", ".requires"))
            )
        models = self.board.models
        yield from (path for path in below(self.board.state) if path != models and models not in path.parents)

    def brought_models(self) -> list[Path]:
        """The store of models, and the names that lead into it or through a release."""
        links = [path for path in entries(self.board.models) if self.is_public_link(path) or into_store(path)]
        return [*links, *(path for path in (self.board.model_store,) if os.path.lexists(path))]

    def stored_models(self) -> list[Path]:
        """The models themselves."""
        return [path for path in self.board.model_store.glob("*/*.gguf") if path.is_file()]

    def own_models(self) -> list[Path]:
        """Models that an operator brought."""
        return [path for path in self.board.models.glob("*.gguf") if path not in self.brought_models()]


def service_below(root: Path) -> Service:
    """OLLAMA, on the machine whose root is a folder."""

    def moved(path: Path) -> Path:
        return root / path.relative_to("/")

    config, key, models = moved(OLLAMA.config), moved(OLLAMA.api_key), moved(OLLAMA.models)
    return replace(OLLAMA, config=config, api_key=key, models=models, state=moved(OLLAMA.state))


def leads_below(path: Path, folder: Path) -> bool:
    """True for a link whose target is written as a path below the folder."""
    return path.is_symlink() and folder in path.readlink().parents


def into_store(path: Path) -> bool:
    """Whether it is a name that an uninstall which kept the models has given one."""
    return path.is_symlink() and path.readlink().parts[:1] == (OLLAMA.model_store.name,)


def before_of(path: Path) -> Path:
    """Where what stood at a public name was kept."""
    return path.with_name(f"{path.name}{BEFORE}")


def entries(folder: Path) -> list[Path]:
    """What is in a folder, by name; nothing in one that is not there."""
    return sorted(folder.iterdir()) if folder.is_dir() else []


def below(folder: Path) -> list[Path]:
    """All files and links in a folder and its folders, by name."""
    return [path for path in sorted(folder.rglob("*")) if path.is_symlink() or not path.is_dir()]


def differs(path: Path, as_deployed: Path) -> bool:
    """Whether a file is another than was deployed. Without a record nobody knows: then it counts as ours."""
    return as_deployed.is_file() and as_deployed.read_bytes() != path.read_bytes()


def bytes_of(paths: Iterable[Path]) -> int:
    """Bytes of files, and of folders with all that is in them."""
    files = (one for path in paths for one in ([path, *below(path)] if path.is_dir() else [path]))
    return sum(file.lstat().st_size for file in files if os.path.lexists(file) and not file.is_dir())
