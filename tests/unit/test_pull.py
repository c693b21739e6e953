"""A board gets its releases from a channel: the one whose turn it is, proven, by the gate, and nothing else."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.controller import openpgp
from deploy.fleet.channel.repository import BY_HASH, IN_RELEASE, release_text
from deploy.hosts.receipt import TargetReceipt, receipt_path
from deploy.onboard.channel.models import pull_model
from deploy.onboard.channel.offered import ModelOffered
from deploy.onboard.files import is_proven
from tests.unit.channel_site import Site, serving
from tests.unit.made_offer import NOON, keys, offer, publish
from tests.unit.pulling_board import FATAL, PullingBoard, survive_cuts

__all__ = ["keys"]


@pytest.fixture
def site(tmp_path: Path, keys: Path) -> Iterator[Site]:
    """The server of the folder `channel`."""
    with serving(tmp_path / "channel") as site:
        yield site


@pytest.fixture
def board(tmp_path: Path, site: Site) -> PullingBoard:
    """It has a release that a deploy brought, and follows the channel."""
    board = PullingBoard(tmp_path / "board", site.url, channel_report=f"{site.url}/reports")
    board.deploy(offer(tmp_path / "made", config='{"a": 1}'))
    return board


@pytest.fixture
def channel(tmp_path: Path) -> Path:
    """Its folder."""
    return tmp_path / "channel"


def test_a_board_takes_what_the_channel_offers(board: PullingBoard, channel: Path, tmp_path: Path, site: Site) -> None:
    wanted = offer(tmp_path / "made", config='{"a": 2}', build="two", model=b"GGUF" * 2000)
    publish(channel, wanted)
    done = board.look()
    assert done.returncode == 0, done
    assert board.current == wanted.release.id
    for file in (*wanted.programs[:-1], *wanted.models):
        there = board.at(file.dest)
        assert there.read_bytes() == file.source.read_bytes()
        proof = TargetReceipt.parse(board.at(receipt_path(file.dest)).read_text().strip())
        assert proof and proof.sha256 == file.sha256 and proof.path == file.dest, "as a deploy leaves it"
    assert [(one["release"], one["good"]) for one in site.reports] == [(wanted.release.id, True)]
    indexes = [path for path in site.asked if "/main/" in path]
    assert indexes and all("/by-hash/SHA256/" in path for path in indexes), (
        "an index that was replaced since is no error"
    )
    site.asked.clear()
    assert board.look().returncode == 0
    assert [path for path in site.asked if "/pool/" in path or "/models/" in path] == []
    assert len(site.reports) == 1, "nothing is said twice"


def test_a_release_that_is_not_good_is_tried_once_and_what_ran_stays(
    board: PullingBoard, channel: Path, tmp_path: Path, site: Site
) -> None:
    before, bad = board.current, offer(tmp_path / "made", config=f'{{"a": "{FATAL}"}}')
    publish(channel, bad)
    assert board.look().returncode == 1
    assert board.look().stdout == ""
    assert board.current == before
    assert [(one["release"], one["good"]) for one in site.reports] == [(bad.release.id, False)]
    assert "it answers 503" in site.reports[0]["reason"]


def test_a_report_that_nobody_took_is_sent_at_the_next_look(
    board: PullingBoard, channel: Path, tmp_path: Path, site: Site
) -> None:
    site.takes_reports = False
    publish(channel, offer(tmp_path / "made", config='{"a": 2}'))
    board.look()
    site.reports.clear()
    site.takes_reports = True
    board.look()
    board.look()
    assert [one["good"] for one in site.reports] == [True]


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
    ("spoil", "said"),
    [
        (expire, "is expired"),
        (forge, "signature"),
        (halve_index, "unexpected size"),
        (lose_index, "404"),
        (take_signature, "not signed|signed file"),
    ],
)
def test_a_channel_that_is_not_what_was_signed_changes_nothing(
    board: PullingBoard, channel: Path, tmp_path: Path, spoil: object, said: str
) -> None:
    before = board.current
    publish(channel, offer(tmp_path / "made", config='{"a": 2}'))
    assert callable(spoil)
    spoil(channel)
    done = board.look()
    assert done.returncode, done
    assert re.search(said, done.stderr), done.stderr
    assert board.current == before
    publish(channel, offer(tmp_path / "made", config='{"a": 3}'))
    assert board.look().returncode == 0, "and it goes on when the channel is well again"
    assert board.current != before


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


def test_a_model_is_gone_on_with_after_a_cut(board: PullingBoard, channel: Path, tmp_path: Path, site: Site) -> None:
    model = b"GGUF" * 5000
    wanted = offer(tmp_path / "made", config='{"a": 2}', model=model)
    publish(channel, wanted)
    part = board.at(wanted.models[0].part_path)
    part.parent.mkdir(parents=True)
    part.write_bytes(model[:7777])
    assert board.look().returncode == 0
    assert board.current == wanted.release.id
    assert site.resumed == [7777]


class PowerCut(BaseException):
    """Nothing that is at work goes on."""


def test_a_model_has_its_name_only_when_it_is_proven(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the power goes while it is proven."""
    place = tmp_path / "models/m.gguf"
    model = ModelOffered(hashlib.sha256(b"GGUF" * 1000).hexdigest(), 4000, place)
    served = tmp_path / "channel/models" / model.sha256
    served.parent.mkdir(parents=True)
    served.write_bytes(b"GGUF" * 999 + b"evil")

    def cut(*_: object) -> None:
        raise PowerCut

    with monkeypatch.context() as patch:
        patch.setattr(hashlib, "sha256", cut)
        with pytest.raises(PowerCut):
            pull_model(site.url, model, print)
    assert not place.exists()
    with pytest.raises(OSError, match="is not the model"):
        pull_model(site.url, model, print)
    assert list(place.parent.iterdir()) == [], "the next look begins anew"
    served.write_bytes(b"GGUF" * 1000)
    pull_model(site.url, model, print)
    assert is_proven(place, model.sha256)


def test_what_an_operator_edited_goes_along(board: PullingBoard, channel: Path, tmp_path: Path) -> None:
    board.at("/etc/ollama-cpp/config.json").unlink()
    board.at("/etc/ollama-cpp/config.json").write_text('{"a": "mine"}')
    wanted = offer(tmp_path / "made", config='{"a": 2}')
    publish(channel, wanted)
    board.look()
    assert board.current == wanted.release.id
    assert (board.at(wanted.release.folder) / "config.json").read_text() == '{"a": "mine"}'


def test_a_board_that_has_the_programs_gets_them_no_second_time(
    board: PullingBoard, channel: Path, tmp_path: Path, site: Site
) -> None:
    publish(channel, offer(tmp_path / "made", config='{"a": 2}'))
    board.look()
    publish(channel, offer(tmp_path / "made", config='{"a": 3}'), hours=1)
    site.asked.clear()
    board.look()
    assert [path.rsplit("/", 1)[1].split("_")[0] for path in site.asked if "/pool/" in path] == [
        f"boardllama-release-raspberry-pi-5-{board.current}"
    ]


def test_only_canaries_get_a_release_in_its_first_phase(
    board: PullingBoard, channel: Path, tmp_path: Path, site: Site
) -> None:
    before, wanted = board.current, offer(tmp_path / "made", config='{"a": 2}')
    publish(channel, wanted, channel_phases=[0, 10])
    board.look()
    assert board.current == before
    board.follow(site.url, channel_canary=True)
    board.look()
    assert board.current == wanted.release.id


def test_a_cut_at_any_moment_leaves_a_board_that_serves_and_goes_on(board: PullingBoard, tmp_path: Path) -> None:
    survive_cuts(board, tmp_path, (0.2, 0.4, 0.6, 0.8, 1.0))


def test_the_same_content_gives_the_same_packages(tmp_path: Path, keys: Path) -> None:
    for name in ("one", "two"):
        publish(tmp_path / name, offer(tmp_path / f"{name} made"))
    pools = [{path.name: path.read_bytes() for path in (tmp_path / name / "pool").iterdir()} for name in ("one", "two")]
    assert pools[0] == pools[1]
    assert NOON.strftime("%Y%m%d.%H%M%S") in " ".join(pools[0])
