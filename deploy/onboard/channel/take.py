"""Takes a release of the channel: its models, its packages, the gate's verdict, a word to whoever watches."""

import sys
from pathlib import Path

from ..files import is_proven, prove_file, sha256_of
from ..json_parts import parse_json
from ..places import Places
from ..release.board_lock import board_lock
from ..release.follow import follow_switch
from ..server.health import Unhealthy
from .models import pull_model
from .offered import BUILD_PACKAGE, Offered
from .packages import unpack_packages
from .poll import EX_TEMPFAIL
from .reports import report_outcome
from .subscription import Subscription, remember

MANIFEST = "manifest.json"


def take_release(offered: Offered, places: Places, told: Subscription) -> int:
    """Brings the release and has the board switch to it. Returns the exit status; a failure leaves what runs."""
    about = {"release": offered.release, "created": offered.created}
    try:
        for model in offered.models:
            pull_model(told.url, model, say)
        with board_lock("boardllama channel"):
            good = install_release(offered, places)
    except (LookupError, Unhealthy, OSError) as error:
        print(f"{offered.release} is not tried: {error}", file=sys.stderr)
        report_outcome(places, told, **about, good=None, reason=str(error)[:300])
        return EX_TEMPFAIL
    verdict = parse_json(places.verdict.read_text())
    rate, reason = verdict.get("tokens_per_second"), verdict["reason"][:300]
    report_outcome(places, told, **about, good=good, reason=reason, tokens_per_second=rate)
    remember(places, tried=offered.name)
    return 0 if good else 1


def install_release(offered: Offered, places: Places) -> bool:
    """Unpacks the packages, whose scripts ask the gate, and waits for its verdict. Returns whether it is good.

    Raises OSError, Unhealthy.
    """
    build = places.builds / offered.build.removeprefix(BUILD_PACKAGE)
    unpack_packages(places, [offered.package] if has_whole_build(build) else [offered.build, offered.package])
    prove_build(build)
    return follow_switch(places, say)


def hashes_of(build: Path) -> dict[str, str]:
    """The sha256 of each program of a build, by its manifest; none where that cannot be read."""
    try:
        files = parse_json((build / MANIFEST).read_text())["files"]
        return {name: str(files[name]["sha256"]) for name in files}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def has_whole_build(build: Path) -> bool:
    """Whether each program of a build is there and was proven, by a deploy or here."""
    hashes = hashes_of(build)
    return bool(hashes) and all(is_proven(build / name, sha256) for name, sha256 in hashes.items())


def prove_build(build: Path) -> None:
    """Leaves receipts with the programs, as a deploy does. Without one the next deploy would bring the file again."""
    for name, sha256 in {**hashes_of(build), MANIFEST: sha256_of(build / MANIFEST)}.items():
        if not is_proven(build / name, sha256):
            prove_file(build / name, sha256)


def say(line: str) -> None:
    """Says a line of progress in the journal."""
    print(line, flush=True)
