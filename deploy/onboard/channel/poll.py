"""`boardllama channel`: one look at the channel. A release whose turn it is here is brought, and the gate is asked.

What runs stays until the gate has let another release in, whatever the channel says, and wherever a look is cut.
"""

import sys

from ..places import PLACES, Places
from ..release.releases import DamagedManifest, Release, current_release
from .offered import Offered, newest_offered
from .packages import Unbelievable, Unreached, index_files, refresh_index
from .reports import report_outcome, send_unsent
from .subscription import Subscription, board_id, read_memory, remember

# sysexits.h: the unit's SuccessExitStatus= counts it as no fault of the board.
EX_TEMPFAIL = 75


def run_poll(places: Places = PLACES) -> int:
    """Looks once. Returns the exit status: 1 for a channel that is not believed, and a release that is not good."""
    try:
        told = Subscription.read(places)
        offered = refreshed_offer(places, told)
    except (LookupError, ValueError, OSError) as error:
        print(f"boardllama: {error}", file=sys.stderr)
        return 1
    except Unreached as error:
        print(f"the channel does not answer, what runs stays: {error}", file=sys.stderr)
        return EX_TEMPFAIL
    except Unbelievable as error:
        reason = f"the channel is not believed, what runs stays: {error}"
        print(reason, file=sys.stderr)
        report_outcome(places, told, release="", created="", good=None, reason=reason)
        return 1
    send_unsent(places, told)
    if offered is None or not is_wanted(offered, places, told):
        return 0
    from .take import take_release  # most looks find nothing, and need none of it

    return take_release(offered, places, told)


def refreshed_offer(places: Places, told: Subscription) -> Offered | None:
    """The newest release whose turn it is here. Raises Unbelievable, Unreached, OSError, ValueError, KeyError."""
    refresh_index(places)
    board = None if told.canary else board_id
    found = [newest_offered(told.kind, board, path) for path in index_files(places)]
    return max(filter(None, found), key=lambda one: one.created, default=None)


def is_wanted(offered: Offered, places: Places, told: Subscription) -> bool:
    """Whether the board is to take it: it does not run, was not tried here, and was not made before what runs."""
    if read_memory(places).get("tried") == offered.name:
        return False
    now = current_release(places)
    if now and now.id == offered.release:
        report_outcome(places, told, release=offered.release, created=offered.created, good=True, reason="")
        remember(places, tried=offered.name)
        return False
    if now and not told.older and created_at(now) > offered.created:
        print(f"the channel offers {offered.release}, made before {now.id}, which runs: channel_older lets it in")
        return False
    return True


def created_at(release: Release) -> str:
    """When a release was made; "" where its manifest does not say it."""
    try:
        return str(release.stated("created"))
    except DamagedManifest:
        return ""
