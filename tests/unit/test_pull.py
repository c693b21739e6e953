"""A board gets its releases from a channel: the one whose turn it is, proven, by the gate, and nothing else."""

import hashlib
import json
from pathlib import Path

import pytest

from deploy.hosts.receipt import TargetReceipt, receipt_path
from deploy.onboard.channel.models import pull_model
from deploy.onboard.channel.offered import ModelOffered
from deploy.onboard.files import is_proven
from tests.unit.channel_site import Site
from tests.unit.made_offer import NOON, keys, offer, publish
from tests.unit.pulling_board import FATAL, PullingBoard, board, channel, site, survive_cuts

__all__ = ["board", "channel", "keys", "site"]


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
    assert len(json.dumps(site.reports[0])) < 350, "bytes"


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
