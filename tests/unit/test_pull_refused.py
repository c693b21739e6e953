"""A board takes nothing of a channel that is not as it was signed, and nothing old."""

import re
from pathlib import Path

import pytest

from deploy.controller import openpgp
from deploy.fleet.channel.repository import BY_HASH, IN_RELEASE, release_text
from deploy.vm.ports import free_ports
from tests.unit.channel_site import Site
from tests.unit.made_offer import keys, offer, publish
from tests.unit.pulling_board import PullingBoard, board, channel, site

__all__ = ["board", "channel", "keys", "site"]


def expire(channel: Path) -> None:
    """The channel was signed a month ago, for a day."""
    body = release_text(channel, 30).decode()
    past = re.sub("Valid-Until: .*", "Valid-Until: Sat, 31 Oct 2026 12:00:00 +0000", body)
    (channel / IN_RELEASE).write_bytes(openpgp.sign_clearly(past.encode()))


def forge(channel: Path) -> None:
    """Somebody else signs the channel."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOARDLLAMA_KEYS", str(channel.with_name("another's keys")))
        (channel / IN_RELEASE).write_bytes(openpgp.sign_clearly(release_text(channel, 30)))


def halve_index(channel: Path) -> None:
    """InRelease came, and the index that it names did not."""
    for path in [*(channel / BY_HASH).iterdir(), *(channel / BY_HASH).parent.parent.glob("Packages*")]:
        path.write_bytes(path.read_bytes()[:-200])


def lose_index(channel: Path) -> None:
    """As above, and nothing is in its place."""
    for path in [*(channel / BY_HASH).iterdir(), *(channel / BY_HASH).parent.parent.glob("Packages*")]:
        path.unlink()


def take_signature(channel: Path) -> None:
    """The signed text without its signature."""
    (channel / IN_RELEASE).write_bytes(release_text(channel, 30))


@pytest.mark.parametrize(
    ("spoil", "said", "is_reported"),
    [
        (expire, "is expired", True),
        (forge, "signature", True),
        (halve_index, "unexpected size", True),
        (lose_index, "404", False),
        (take_signature, "not signed|signed file", True),
    ],
)
def test_a_channel_that_is_not_what_was_signed_changes_nothing(
    board: PullingBoard, channel: Path, tmp_path: Path, site: Site, spoil: object, said: str, is_reported: bool
) -> None:
    """What was not signed so is reported, once; what is not there may be on its way."""
    before = board.current
    publish(channel, offer(tmp_path / "made", config='{"a": 2}'))
    assert callable(spoil)
    spoil(channel)
    done = board.look()
    assert done.returncode, done
    assert re.search(said, done.stderr), done.stderr
    board.look()
    assert board.current == before
    reported = [(one["good"], bool(re.search(said, one["reason"]))) for one in site.reports]
    assert reported == ([(None, True)] if is_reported else [])
    publish(channel, offer(tmp_path / "made", config='{"a": 3}'))
    assert board.look().returncode == 0, "and it goes on when the channel is well again"
    assert board.current != before


def test_a_channel_that_does_not_answer_changes_nothing(board: PullingBoard, channel: Path, tmp_path: Path) -> None:
    before = board.current
    publish(channel, offer(tmp_path / "made", config='{"a": 2}'))
    (port,) = free_ports(1)
    board.follow(f"http://127.0.0.1:{port}")
    done = board.look()
    assert (done.returncode, board.current) == (75, before), "which its unit takes for no fault"
    assert "the channel does not answer, what runs stays: " in done.stderr


@pytest.mark.parametrize("what", ["pool", "models"])
def test_what_does_not_have_its_hash_is_not_used(board: PullingBoard, channel: Path, tmp_path: Path, what: str) -> None:
    before = board.current
    publish(channel, offer(tmp_path / "made", config='{"a": 2}', build="two", model=b"GGUF" * 3000))
    for path in (channel / what).iterdir():
        path.write_bytes(bytes([*path.read_bytes()[:-1], 0]))
    done = board.look()
    assert done.returncode == 75, done
    assert "is not tried" in done.stderr
    assert board.current == before


def test_a_channel_that_was_rolled_back_offers_nothing_old(board: PullingBoard, channel: Path, tmp_path: Path) -> None:
    publish(channel, offer(tmp_path / "made", config='{"a": 2}'))
    kept = {path: path.read_bytes() for path in channel.rglob("*") if path.is_file()}
    wanted = offer(tmp_path / "made", config='{"a": 3}')
    publish(channel, wanted, hours=1)
    board.look()
    assert board.current == wanted.release.id
    for path, content in kept.items():
        path.write_bytes(content)
    board.look()
    assert board.current == wanted.release.id


@pytest.mark.parametrize("older", [False, True])
def test_a_release_from_before_what_runs_is_taken_only_when_told(
    board: PullingBoard, channel: Path, tmp_path: Path, site: Site, older: bool
) -> None:
    runs = board.current
    wanted = offer(tmp_path / "made", config='{"a": 2}')
    publish(channel, wanted, hours=-24 * 60)
    board.follow(site.url, channel_older=older)
    assert board.look().returncode == 0
    assert board.current == (wanted.release.id if older else runs)
