"""The switch to a release, on the target and by the target alone: check, try, judge, commit; or go back.

Whoever asked for it may go away meanwhile. A trial shows only in /run, so a board that loses power comes back with the
release that was committed last.
"""

import os
from contextlib import suppress
from pathlib import Path

from ..files import replace_link, write_file
from ..server.config import ConfigError
from ..server.health import Unhealthy, last_words
from ..server.launch import waiting_services
from .check import CheckError, check_release
from .edits import adopt_edits, keep_judged_files, redo_edits, undo_edits
from .gate import ServiceUnhealthy, judge_release, run_systemctl
from .pruning import prune_releases, releases_kept
from .public_names import publish_names, remove_stale_names, replace_files
from .releases import DamagedManifest, Release, all_releases, all_services, current_release, lineage, services_of
from .verdict import Outcome, SwitchVerdict

JOURNAL_LINES = 12


def perform_switch(release: Release) -> Outcome:
    """Checks the release, then commits, restarts or tries it. That a release is not good is an outcome, no error."""
    verdict = SwitchVerdict(release)
    verdict.say("checking the release")
    try:
        check_release(release)
    except (CheckError, ConfigError, DamagedManifest, OSError) as error:
        return verdict.end(Outcome.REFUSED, str(error))
    if len(waiting_services(release)) == len(release.services):
        return await_model(release, verdict)
    if release.is_current:
        return restart_current(release, verdict)
    return try_release(release, verdict)


def await_model(release: Release, verdict: SwitchVerdict) -> Outcome:
    """Commits a release whose model the operator has yet to bring: without a model nothing can be tried."""
    try:
        commit_release(release)
    except OSError as error:  # of a full disk, say
        return verdict.end(Outcome.REFUSED, str(error))
    stop_others(release)
    tidy_up(release)
    return verdict.end(Outcome.WAITING)


def restart_current(release: Release, verdict: SwitchVerdict) -> Outcome:
    """Restarts the current release as it was committed. It was good then: there is no release to go back to."""
    drop_trial(release)
    stop_others(release)
    try:
        publish_names(release)
        replace_files(release)
        rate = judge_release(release, verdict.say)
    except Exception as error:  # whatever it is, whoever asked is told
        return verdict.end(Outcome.FAILING, with_journal(error, release))
    with suppress(OSError):
        remove_stale_names(release)
        prune_releases(release.places, releases_kept(release))
        keep_judged_files(release)
    return verdict.end(Outcome.SERVING, rate=rate)


def try_release(release: Release, verdict: SwitchVerdict) -> Outcome:
    """Restarts the servers as this release, judges it, and commits it or goes back."""
    before = current_release(release.places)
    verdict.say(f"trying {release.id}" + (f" in place of {before.id}" if before else ""))
    try:
        adopt_edits(release.places)
        for service in release.services:
            write_file(service.trial_unit(release.places), release.trial_text(service).encode())
        stop_others(release)
        rate = judge_release(release, verdict.say)
        commit_release(release)
    except Exception as error:  # whatever it is: the release before comes back
        reason = with_journal(error, release)
        with suppress(OSError):  # of a full disk, say: that it was rejected is told anyhow
            write_file(release.note, f"{str(error)[:200]}\n".encode())
        return bring_back(before, release, reason, verdict)
    tidy_up(release)
    return verdict.end(Outcome.COMMITTED, rate=rate)


def bring_back(before: Release | None, release: Release, reason: str, verdict: SwitchVerdict) -> Outcome:
    """Has the release `before` serve again; without one, what served before the first release."""
    drop_trial(release)
    if before is None:
        with suppress(Unhealthy):  # what stood there before the first release may not start, as it did not before
            run_systemctl("daemon-reload")
        for service in release.services:
            with suppress(Unhealthy):
                there = service.public_unit(release.places).exists()
                run_systemctl("restart" if there else "stop", service.unit)
        return verdict.end(Outcome.BACK, f"{reason}; no release was served before, and none is now")
    verdict.say(f"{release.id} is not good, going back to {before.id}")
    try:
        stop_others(before)
        undone = as_edited_or_judged(before, verdict)
    except Exception as error:
        return verdict.end(Outcome.STRANDED, f"{reason}\n{before.id}: {with_journal(error, before)}")
    with suppress(OSError, DamagedManifest):
        remove_stale_names(before)
        prune_releases(before.places, releases_kept(before), spared=release)
    return verdict.end(Outcome.BACK, f"{reason}; {before.id} serves again{undone}")


def as_edited_or_judged(release: Release, verdict: SwitchVerdict) -> str:
    """Restarts the release that served: as it is, or else without what was edited since it was judged good.

    An edit shows only at a restart, which may be this one. Returns what a user must be told. Raises what
    `judge_release` raises.
    """
    try:
        judge_release(release, verdict.say)
    except Exception:
        if not (undone := undo_edits(release)):
            raise
        verdict.say(f"{release.id} does not serve with what was edited in it: as it was when it was committed")
        try:
            judge_release(release, verdict.say)
        except Exception:  # it was not the edit
            redo_edits(undone)
            raise
        kept = ", ".join(str(aside) for _, aside in undone)
        return f" as it was committed; what was edited since does not serve, and is kept in {kept}"
    return ""


def commit_release(release: Release) -> None:
    """Makes the release the current one. All else is made ready first, so that the rename at the end decides."""
    before, earlier = current_release(release.places), release.previous
    keep_judged_files(release)
    publish_names(release)
    if before and before != release:
        replace_link(release.folder / "previous", Path("..") / before.id)
    os.sync()
    replace_link(release.places.current, release.folder.relative_to(release.places.root))
    if earlier and before != release:
        close_line(release, earlier)


def close_line(release: Release, earlier: Release) -> None:
    """Takes a release that is committed again out of its old place: its successor there then names `earlier`.

    Done after the commit: until then `release` is what that successor would go back to.
    """
    with suppress(OSError):
        for later in lineage(release.places):
            if later.previous == release:
                replace_link(later.folder / "previous", Path("..") / earlier.id)


def tidy_up(release: Release) -> None:
    """Does what may come after the commit, or never: if any of it fails, the release is committed and serves."""
    with suppress(OSError, Unhealthy):
        if release.previous is None:
            replace_files(release)
        for other in all_releases(release.places):
            other.note.unlink(missing_ok=True)
        drop_trial(release)
        remove_stale_names(release)
        if release.places.runtime_units.is_dir():
            run_systemctl("daemon-reload")
        prune_releases(release.places, releases_kept(release))


def drop_trial(release: Release) -> None:
    """Removes the units of any trial. After the next `daemon-reload` systemd reads the public units again.

    A switch that was stopped may have left the units of another release.
    """
    for service in all_services([*all_releases(release.places), release]):
        service.trial_unit(release.places).unlink(missing_ok=True)


def stop_others(release: Release) -> None:
    """Stops the services whose units only other releases have: their memory and their ports may be needed."""
    units = {service.unit for service in services_of(release)}
    for unit in {service.unit for service in all_services(all_releases(release.places))} - units:
        with suppress(Unhealthy):
            run_systemctl("stop", unit)


def with_journal(error: Exception, release: Release) -> str:
    """The reason, and the last lines of the servers that may have caused it."""
    services = (error.service,) if isinstance(error, ServiceUnhealthy) else services_of(release)
    said = [line for service in services for line in last_words(service, JOURNAL_LINES)]
    return f"{error}\n" + "\n".join(f"  | {line}" for line in said) if said else str(error)
