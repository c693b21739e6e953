"""The table of the campaign: which fault is tried during which change, how often."""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.faults.bad_hubs import BadHub
from tests.faults.bad_releases import MANNERS, BadRelease
from tests.faults.changes import BACK, BUILD, CHANGES, FIRST, MODEL, UPGRADE, Change
from tests.faults.cuts import ControllerKilled, FlushCut, NetworkCut, PowerCut
from tests.faults.fault import Fault
from tests.faults.lab import code_key
from tests.faults.states import Damaged, DiskFull, NoInodes, ReadOnlyRoot, SmallTmp, TwoAtOnce, WrongClock
from tests.hub_faults import Fault as HubFault

REGIONS = ("first", "header", "middle", "last", "truncated", "html", "grown")


@dataclass(frozen=True)
class Row:
    """A fault during a change, tried `count` times with one seed each."""

    fault: Fault
    change: Change
    count: int

    @property
    def name(self) -> str:
        """As in --only and in docs/explanation/faults.md."""
        return f"{self.fault.name}/{self.change.name}"

    @property
    def code(self) -> str:
        """Names the code that it tries; a result of other code is not one of this row."""
        return code_key(self.fault.fetches)


def table() -> Iterator[Row]:
    """Where a fault is about a moment, it is tried at many; where it is about a state, at a few degrees of it."""
    for change in CHANGES:
        yield Row(PowerCut(), change, 7)
        yield Row(FlushCut(), change, 18)
    yield Row(FlushCut(), BUILD, 2)
    for change in (UPGRADE, MODEL, FIRST, BACK):
        yield Row(ControllerKilled(group=False), change, 5)
        yield Row(ControllerKilled(group=True), change, 3)
        yield Row(NetworkCut(silent=True), change, 4)
        yield Row(NetworkCut(silent=False), change, 4)
    for change in (FIRST, UPGRADE, MODEL):
        yield Row(DiskFull(), change, 3)
        yield Row(NoInodes(), change, 1)
        yield Row(ReadOnlyRoot(), change, 1)
    for days in (-365, 365):
        yield Row(WrongClock(days), UPGRADE, 1)
    yield Row(SmallTmp(), MODEL, 1)
    yield Row(TwoAtOnce(), UPGRADE, 2)
    for file in ("model", "program"):
        for kind in REGIONS:
            yield Row(Damaged(file, kind), UPGRADE, 1)
    for manner in MANNERS:
        yield Row(BadRelease(manner), UPGRADE, 1)
    for hub_fault in HUB_FAULTS:
        yield Row(BadHub(hub_fault), MODEL, 1)


HUB_FAULTS = (
    HubFault.CLOSE,
    HubFault.CLOSE_THEN_ALL,
    HubFault.SHORT_BODY,
    HubFault.WRONG_BYTES,
    HubFault.WRONG_ETAG,
    HubFault.HTML,
    HubFault.LOGIN_PAGE,
    HubFault.REDIRECT_LOOP,
    HubFault.TRICKLE,
    HubFault.STALL,
    HubFault.BUSY,
)
