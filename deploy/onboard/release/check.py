"""What is checked of a release before it may be tried: nothing that is served has changed yet."""

from collections.abc import Iterator
from pathlib import Path

from ..commands import end_of
from ..files import receipt_name, sha256_of, write_file
from ..places import WARM
from ..server.config import load_config
from ..server.launch import ready_services, start_command
from ..service import Service
from .releases import Release

DEADLINE = 120


class CheckError(Exception):
    """The release must not be tried. The message says why."""


def check_release(release: Release) -> None:
    """Compares hashes, then checks each service. Raises CheckError, ConfigError, DamagedManifest, OSError."""
    for name, sha256 in pinned_hashes(release):
        path = release.folder / name
        if not path.is_file() or sha256_of(path) != sha256:
            # A worn card left the receipt of the file that it changed. Without one the next deploy brings the file.
            path.resolve().with_name(receipt_name(path.name)).unlink(missing_ok=True)
            raise CheckError(f"{path} is not what was deployed (sha256 {sha256[:12]}…): deploy again")
    for service in ready_services(release):
        check_service(release, service)


def check_service(release: Release, service: Service) -> None:
    """Checks config and unit, and that the binary takes the arguments. Raises CheckError, ConfigError, OSError."""
    config = load_config(service, release.folder_of(service) / service.config.name)
    program, arguments = start_command(config, release, service)
    # systemd judges a unit by its name. The paths in it are the trial's: the committed ones do not lead here yet.
    unit = release.places.verdict.parent / service.unit
    write_file(unit, release.trial_text(service).encode())
    require_success("systemd-analyze", "verify", "--man=no", str(unit), about=service.unit)
    # llama-server reads its arguments in order: it refuses an unknown one before it comes to --version.
    if service.has_model:
        require_success(str(program), *arguments[1:], "--version")


def pinned_hashes(release: Release) -> Iterator[tuple[str, str]]:
    """Name in the release and sha256 of each file that an operator may not edit."""
    for name in release.stated("build", "files"):
        yield name, release.stated("build", "files", name, "sha256")
    for service in release.services:
        for file in release.model_files(service):
            yield str(Path(service.folder) / file["name"]), file["sha256"]
        for name, sha256 in release.served[service].get("warm_prompts", {}).items():
            yield str(Path(service.folder) / WARM / name), sha256
    yield from release.stated("programs").items()


def require_success(*words: str, about: str = "") -> None:
    """Runs a program. Raises CheckError with the first line that counts, when the program fails and has such a line.

    A line counts when `about` is in it: systemd-analyze also fails for the faults of other units.
    """
    try:
        done = end_of(*words, deadline=DEADLINE)
    except FileNotFoundError:
        if not Path(words[0]).exists():
            raise
        raise CheckError(
            f"{words[0]} is there, but not the loader that starts it (/lib/ld-linux-aarch64.so.1): this system is no "
            "64-bit (arm64) Debian or Ubuntu; install one"
        ) from None
    if done is None:
        raise CheckError(f"{words[0]} did not end within {DEADLINE} s")
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or f"status {done.returncode}").splitlines()
        if ours := [line for line in said if about in line]:
            raise CheckError(f"{Path(words[0]).name} refuses it: {ours[0]}")
