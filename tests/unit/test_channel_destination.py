"""Where a channel goes: a folder, or another computer, to which other controllers publish, too."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.errors import BoardllamaError
from deploy.fleet.channel import destination
from deploy.fleet.channel.destination import Destination, destination_of
from deploy.fleet.channel.publish import is_settled, wanted_record
from deploy.fleet.channel.record import FILE, ChannelRecord, read_record, write_record
from deploy.fleet.channel.repository import BY_HASH, IN_RELEASE
from tests.unit.made_offer import KIND, NOON, channel_fields, keys, offer, publish

__all__ = ["keys"]


@pytest.mark.parametrize("dest", ["", "https://example.org/x", "s3://bucket/x"])
def test_a_destination_that_is_none_is_refused(dest: str) -> None:
    with pytest.raises(BoardllamaError, match=r"^DEST is .*: must be a folder .*, or user@host:path"):
        destination_of(dest)


def test_a_destination_elsewhere_has_a_copy_here(tmp_path: Path, keys: Path) -> None:
    found = destination_of("www@updates.example:/srv/boards/")
    assert found.address == "www@updates.example:/srv/boards"
    assert found.folder.is_relative_to(tmp_path / "cache")
    assert destination_of(str(tmp_path / "x")).address == ""


def test_whoever_reads_a_copy_while_it_is_made_finds_what_it_names(
    tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "there"
    real, seen = destination.run_rsync, []

    def looked_at(*words: str) -> None:
        real(*words)
        signed = there / "dists/stable/InRelease"
        named = re.findall(r"^ ([0-9a-f]{64}) +\d+ \S+Packages", signed.read_text(), re.M) if signed.exists() else []
        assert all((there / BY_HASH / name).exists() for name in named)
        seen.append(len(named))

    monkeypatch.setattr(destination, "run_rsync", looked_at)
    for hour in range(2):
        publish(tmp_path / "here", offer(tmp_path / "made", f'{{"a": {hour}}}'), hours=hour)
        Destination(tmp_path / "here", str(there)).upload(set())
    assert seen == [0, 0, 2, 2, 2, 2, 2, 2], "InRelease comes last"
    ours = (".lock", ".uploaded")
    here = {path.relative_to(tmp_path / "here") for path in (tmp_path / "here").rglob("*") if path.name not in ours}
    assert {path.relative_to(there) for path in there.rglob("*")} == here


def test_an_upload_that_failed_is_made_up_for(tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted, place = offer(tmp_path / "made"), Destination(tmp_path / "here", "www@updates.example:/srv/www")
    publish(place.folder, wanted)
    told, failures = channel_fields(), iter([True, False])

    def copy(*_: str) -> None:
        if next(failures, False):
            raise BoardllamaError("no route to host")

    monkeypatch.setattr(destination, "run_rsync", copy)
    record = wanted_record(place, wanted, told, NOON)
    with pytest.raises(BoardllamaError, match="no route to host"):
        place.upload(set())
    assert not is_settled(place, KIND, record, told, NOON)
    place.upload(set())
    assert is_settled(place, KIND, record, told, NOON)


OTHER_KIND = "rockpro64"


def publish_from(controller: Path, there: Path, kind: str, number: int, hours: float = 0.0) -> str:
    """Publishes from a controller whose copy is that folder. Returns the id of the release."""
    made = offer(controller.with_name("made"), f'{{"a": {number}}}', model=b"GGUF" * (1000 + number), kind=kind)
    publish(controller, made, hours, address=str(there))
    return made.release.id


def offered_there(there: Path) -> dict[str, str]:
    """The releases by kind, each of which is in the index, with its packages and models."""
    records, index = read_record(there).kinds, (there / "dists/stable/main/binary-arm64/Packages").read_text()
    for record in records.values():
        assert all(f"pool/{name}\n" in index and (there / "pool" / name).exists() for name in record.offering.debs)
        assert all((there / "models" / sha256).exists() for sha256 in record.offering.models)
    return {kind: record.offering.release for kind, record in records.items()}


def test_a_second_controller_goes_on_with_what_the_first_has_published(tmp_path: Path, keys: Path) -> None:
    first, second, there = (tmp_path / name for name in ("first", "second", "there"))
    one = publish_from(first, there, KIND, 1)
    two = publish_from(second, there, OTHER_KIND, 2, hours=1)
    assert offered_there(there) == {KIND: one, OTHER_KIND: two}
    three = publish_from(first, there, KIND, 3, hours=2)
    assert offered_there(there) == {KIND: three, OTHER_KIND: two}
    assert not list((second / "models").glob(read_record(there).kinds[KIND].offering.models[0])), "none is fetched"


def test_a_controller_that_lost_its_cache_goes_on(tmp_path: Path, keys: Path) -> None:
    first, there = tmp_path / "first", tmp_path / "there"
    one, two = publish_from(first, there, KIND, 1), publish_from(first, there, OTHER_KIND, 2, hours=1)
    shutil.rmtree(first)
    three = publish_from(first, there, KIND, 3, hours=2)
    assert one != three
    assert offered_there(there) == {KIND: three, OTHER_KIND: two}


def test_an_upload_that_was_cut_is_gone_on_with_unless_another_controller_came_between(
    tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, there = (tmp_path / name for name in ("first", "second", "there"))
    publish_from(first, there, KIND, 1)
    monkeypatch.setattr(Destination, "upload", lambda *_: None)
    publish_from(first, there, KIND, 2, hours=1)
    Destination(first, str(there)).catch_up()
    assert read_record(first).signed > read_record(there).signed, "what is newer here stays"
    monkeypatch.undo()
    monkeypatch.setenv("BOARDLLAMA_KEYS", str(keys))
    two = publish_from(second, there, OTHER_KIND, 3, hours=2)
    three = publish_from(first, there, KIND, 2, hours=3)
    assert offered_there(there) == {KIND: three, OTHER_KIND: two}


def test_what_was_lost_there_is_brought_again(tmp_path: Path, keys: Path) -> None:
    first, there = tmp_path / "first", tmp_path / "there"
    publish_from(first, there, KIND, 1)
    shutil.rmtree(there)
    place = Destination(first, str(there))
    place.catch_up()
    assert not place.is_uploaded


def lose_record(there: Path) -> None:
    (there / FILE).unlink()


def sign_otherwise(there: Path) -> None:
    """The controller that published has another key."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOARDLLAMA_KEYS", str(there.with_name("another's keys")))
        write_record(there, ChannelRecord())


def cut_upload(there: Path) -> None:
    (there / IN_RELEASE).write_text("newer")


def spoil_package(there: Path) -> None:
    for path in (there / "pool").iterdir():
        path.write_bytes(path.read_bytes()[:-1] + b"x")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lose_record, "offers.asc is not there, which says what the channel offers"),
        (sign_otherwise, "is not what this controller's key signed .* copy channel-signing.asc"),
        (cut_upload, "an upload was cut; publish again from the controller that began it"),
        (spoil_package, "which the channel offers, is not there, or not what was signed"),
    ],
)
def test_what_cannot_be_proven_there_is_neither_signed_nor_removed(
    tmp_path: Path, keys: Path, spoil: Callable[[Path], None], said: str
) -> None:
    there = tmp_path / "there"
    publish_from(tmp_path / "first", there, KIND, 1)
    spoil(there)
    kept = {path: path.read_bytes() for path in there.rglob("*") if path.is_file()}
    with pytest.raises(BoardllamaError, match=f"has a channel that cannot be gone on with: .*{said}"):
        publish_from(tmp_path / "second", there, OTHER_KIND, 2, hours=1)
    assert {path: path.read_bytes() for path in there.rglob("*") if path.is_file()} == kept
    assert not (tmp_path / "second/pool").exists()


def test_a_package_that_nobody_signed_is_not_taken_over(tmp_path: Path, keys: Path) -> None:
    """The next release with that build would be signed with it."""
    there = tmp_path / "there"
    publish_from(tmp_path / "first", there, KIND, 1)
    (there / "pool/boardllama-build-evil_1_arm64.deb").write_bytes(b"evil")
    Destination(tmp_path / "second", str(there)).catch_up()
    assert {path.name for path in (tmp_path / "second/pool").iterdir()} == set(
        read_record(there).kinds[KIND].offering.debs
    )


def test_a_folder_that_lost_its_record_is_not_published_to(tmp_path: Path, keys: Path) -> None:
    publish(tmp_path / "channel", offer(tmp_path / "made"))
    lose_record(tmp_path / "channel")
    with pytest.raises(BoardllamaError, match="bring it back, or have DEST name an empty folder and publish all kinds"):
        publish(tmp_path / "channel", offer(tmp_path / "made", kind=OTHER_KIND))


def test_a_run_that_is_cut_before_its_record_is_written_is_made_up_for(
    tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted, place, told = offer(tmp_path / "made"), Destination(tmp_path / "channel"), channel_fields()
    publish(place.folder, wanted)
    kept = (place.folder / FILE).read_bytes()
    # Signed within the same second for as many days, the index would be the same.
    publish(place.folder, wanted, hours=24 * 20, channel_valid_days=told.channel_valid_days + 1)
    (place.folder / FILE).write_bytes(kept)
    assert not is_settled(place, KIND, wanted_record(place, wanted, told, NOON), told, NOON)
    publish(place.folder, wanted, hours=24 * 20)
    assert read_record(place.folder).is_of(place.folder)
