"""The public names of a release: links through `current`, and what stands in their place."""

from contextlib import suppress
from pathlib import Path

from ..files import leads_to, replace_link
from .releases import DamagedManifest, Release, all_releases


def publish_names(release: Release) -> None:
    """Makes every public name lead through `current`, but for names at which someone put a file: that file stays."""
    for path, target in release.public_names().items():
        if not leads_to(path, target) and (path.is_symlink() or not path.exists()):
            replace_link(path, target)


def replace_files(release: Release) -> None:
    """Renames the files at public names, and links the names. What counts in such a file is in the release by then."""
    for path, target in release.public_names().items():
        if not path.is_symlink():
            path.replace(path.with_name(f"{path.name}.before-boardllama"))
            replace_link(path, target)


def has_its_names(release: Release) -> bool:
    """True when every public name leads where the release has it, and none is left of another release."""
    return all(leads_to(*name) for name in release.public_names().items()) and not stale_names(release)


def remove_stale_names(release: Release) -> None:
    """Removes the public names that only other releases have, so that no boot starts what they serve."""
    for path in stale_names(release):
        path.unlink()


def stale_names(release: Release) -> set[Path]:
    """The links at public names that only other releases have. An operator's own link at such a name is left out."""
    ours, stale = release.public_names(), set()
    for other in all_releases(release.places):
        with suppress(DamagedManifest):
            stale |= {path for path, to in other.public_names().items() if path not in ours and leads_to(path, to)}
    return stale
