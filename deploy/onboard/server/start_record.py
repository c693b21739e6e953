"""From which files a running server was started: a deploy compares them with those that are there now."""

from pathlib import Path

from ..release.releases import Release
from ..service import Service

SERVER = "llama-server"


def start_record(release: Release, service: Service, arguments: list[str]) -> str:
    """Which files this server is started from, so that a deploy can tell whether they are still there unchanged.

    The release, then a line for each file: inode, size, change time, name; `absent` for a file that may appear.
    Editable files stand under their public names. Lines are only compared for equality, so no clock need be right.
    """
    editable = [(service, service.config), (service, service.public_unit(release.places))]
    others = [] if service.has_model else [(one, one.config) for one in release.services if one != service]
    used = {path: release.place(one, path) for one, path in [*editable, *others]}
    used |= {path: path for path in (*started_files(release, service, arguments), service.api_key)}
    return f"release {release.id}\n" + "".join(f"{file_identity(path)} {name}\n" for name, path in used.items())


def started_files(release: Release, service: Service, arguments: list[str]) -> list[Path]:
    """llama-server and its model, by its argument vector. The programs of a broker are the release's own."""
    return [release.folder / SERVER, Path(arguments[2])] if service.has_model else []


def is_fresh(service: Service) -> bool:
    """True when the running server was started from exactly the files that now have the public names."""
    try:
        _address, _release, *lines = service.started.read_text().splitlines()
    except (OSError, ValueError):
        return False
    return all(line == f"{file_identity(path := Path(line.split(' ', 3)[3]))} {path}" for line in lines)


def file_identity(path: Path) -> str:
    """Inode, size and change time: writing, replacing or moving a file changes at least one of them."""
    if not path.exists():
        return "absent 0 0"
    stat = path.stat()
    seconds, nanoseconds = divmod(stat.st_ctime_ns, 10**9)
    return f"{stat.st_ino} {stat.st_size} {seconds}.{nanoseconds:09d}"
