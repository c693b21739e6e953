"""Cards are loop devices: what is on them afterwards is the image, all of it, and nothing else."""

import os
import subprocess
from pathlib import Path

import pytest

from deploy.onboard.identity.boardllama_txt import parse_identity
from tests.flash.faulty import faulty_card
from tests.flash.flashing import Flashing, has_image, raw_bytes
from tests.flash.images import IDENTITY, MIB, Recipe, make_image
from tests.flash.loops import Loop, card_file, loop_device

CARD = 40 * MIB
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINq+JwvWvQl44f5sMKerhcg4F613tQeIMFxbu2vEz4lo me"


def used_card(path: Path, size: int = CARD) -> Path:
    """The file of a card that is full of somebody's data."""
    path.write_bytes(os.urandom(size))
    return path


def test_a_used_card_holds_the_image_and_nothing_of_what_was_there(flashing: Flashing, tmp_path: Path) -> None:
    memory = used_card(tmp_path / "card")
    with loop_device(memory) as card:
        done = flashing.flash("old", card)
    assert done.returncode == 0, done.stderr
    assert f"PASS {card.path}" in done.stdout
    assert has_image(memory, flashing.image("old"))
    assert not any(memory.read_bytes()[-MIB : -64 * 1024]), "a second partition table may lie at the card's end"


def test_holes_are_zero_on_a_card_that_cannot_discard(flashing: Flashing, tmp_path: Path) -> None:
    memory = used_card(tmp_path / "memory")
    with faulty_card(memory) as card:
        done = flashing.flash("old", card)
    assert done.returncode == 0, done.stderr
    assert has_image(memory, flashing.image("old"))


def test_the_image_may_fill_the_card_to_its_last_byte(flashing: Flashing, tmp_path: Path) -> None:
    memory = used_card(tmp_path / "card", len(raw_bytes(flashing.image("old"))))
    with loop_device(memory) as card:
        assert flashing.flash("old", card).returncode == 0
    assert has_image(memory, flashing.image("old"))


def test_one_line_of_json_says_what_became_of_the_card(flashing: Flashing, tmp_path: Path) -> None:
    with loop_device(card_file(tmp_path / "card", CARD)) as card:
        flashing.flash("old", card, "--hostname", "kitchen", "--wifi-ssid", "home", "--wifi-password", "correct horse")
    (line,) = flashing.lines()
    assert line["verdict"] == "PASS"
    assert line["serial"] == str(tmp_path / "card")
    assert line["identity"]["hostname"] == ["kitchen"]
    assert line["bytes"] > 4 * MIB
    assert "correct horse" not in flashing.results.read_text()


def test_the_identity_is_on_the_card_and_only_that_differs_from_the_image(flashing: Flashing, tmp_path: Path) -> None:
    memory = used_card(tmp_path / "card")
    key = tmp_path / "id.pub"
    key.write_text(f"{KEY}\n")
    with loop_device(memory) as card:
        done = flashing.flash("old", card, "--hostname", "kitchen", "--ssh-key", str(key))
    assert done.returncode == 0, done.stderr
    identity = parse_identity(identity_text(memory))
    assert (identity.hostname, identity.ssh_keys) == ("kitchen", (KEY,))
    wanted, found = raw_bytes(flashing.image("old")), memory.read_bytes()
    assert found[: IDENTITY[0]] == wanted[: IDENTITY[0]]
    assert found[sum(IDENTITY) : len(wanted)] == wanted[sum(IDENTITY) :]


def identity_text(memory: Path) -> str:
    """The text of boardllama.txt on a card."""
    done = subprocess.run(
        ["mtype", "-i", f"{memory}@@{IDENTITY[0]}", "::boardllama.txt"], capture_output=True, check=True
    )
    return done.stdout.decode()


def test_an_earlier_version_is_replaced_by_writing_what_differs(images: Path, tmp_path: Path) -> None:
    flashing = Flashing(images, tmp_path / "results.jsonl")
    large = Recipe(size=72 * MIB, chunk=232 << 10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOARDLLAMA_KEYS", str(images / "keys"))
        before = make_image(tmp_path / "before", large)
        after = make_image(tmp_path / "after", Recipe(size=large.size, chunk=large.chunk, config=b"threads = 3"))
    memory = card_file(tmp_path / "card", 80 * MIB)
    with loop_device(memory) as card:
        assert flashing.flash(before, card).returncode == 0
        done = flashing.flash(after, card)
    assert "only what differed" in done.stdout
    assert has_image(memory, after)
    first, second = flashing.lines()
    assert second["bytes"] <= 0.05 * first["bytes"]


def test_what_has_changed_on_the_card_is_found_and_mended(flashing: Flashing, tmp_path: Path) -> None:
    memory = card_file(tmp_path / "card", CARD)
    image = flashing.image("old")
    with loop_device(memory) as card:
        flashing.flash("old", card)
        with memory.open("r+b") as file:
            for offset in (6 * MIB, 6 * MIB + (200 << 10), 20 * MIB, len(raw_bytes(image)) - 512):
                file.seek(offset)
                file.write(b"what the board wrote meanwhile")
            os.fsync(file.fileno())
        assert not has_image(memory, image)
        done = flashing.flash("old", card)
    assert "only what differed" in done.stdout
    assert has_image(memory, image)


def two_cards(tmp_path: Path) -> tuple[Path, Path]:
    """The memories of two cards."""
    return card_file(tmp_path / "one", CARD), card_file(tmp_path / "two", CARD)


def card_options(cards: tuple[Loop, ...]) -> list[str]:
    """Options that name all of them."""
    serials = [word for card in cards for word in ("--serial", str(card.file))]
    return ["--devices", ",".join(str(card.path) for card in cards), "--yes", *serials]


def test_two_cards_at_once_get_a_row_each_and_a_batch_goes_on(flashing: Flashing, tmp_path: Path) -> None:
    table = tmp_path / "boards.csv"
    table.write_text("hostname,address,gateway\none,192.168.1.21/24,192.168.1.1\ntwo,,\nthree,dhcp,\n")
    first, second = two_cards(tmp_path)
    with loop_device(first) as one, loop_device(second) as other:
        words = [*card_options((one, other)), "--csv", str(table)]
        done = flashing.run("old", *words)
        assert done.returncode == 0, done.stderr
        assert f"rows of {table} that are left: 1" in done.stderr
        assert [parse_identity(identity_text(memory)).hostname for memory in (first, second)] == ["one", "two"]
        done = flashing.run("old", *words)
        assert done.returncode == 1
        assert "every card here has passed already: put in others" in done.stderr
        others = [card_file(tmp_path / name, CARD) for name in ("third", "fourth")]
        with loop_device(others[0]) as third, loop_device(others[1]) as fourth:
            done = flashing.run("old", *card_options((one, third, fourth)), "--csv", str(table))
            assert done.returncode == 0, done.stderr
            assert f"{one.path} is left alone: it is one, and has passed" in done.stderr
            assert f"{fourth.path} is left alone: no row is left for it" in done.stderr
            done = flashing.run("old", *card_options((fourth,)), "--csv", str(table))
        assert parse_identity(identity_text(first)).hostname == "one"
        assert parse_identity(identity_text(tmp_path / "third")).hostname == "three"
    assert "nothing is left to do" in done.stderr
    assert sorted(line["identity"]["hostname"][0] for line in flashing.lines()) == ["one", "three", "two"]


def test_a_row_that_changed_is_written_again_and_another_image_is_not_taken_for_done(
    flashing: Flashing, tmp_path: Path
) -> None:
    table, memory = tmp_path / "boards.csv", card_file(tmp_path / "card", CARD)
    with loop_device(memory) as card:
        words = [*card_options((card,)), "--csv", str(table)]
        table.write_text("hostname,timezone\nkitchen,UTC\nhall,UTC\n")
        assert flashing.run("old", *words).returncode == 0
        table.write_text("hostname,timezone\nkitchen,Europe/Berlin\n")
        done = flashing.run("old", *words)
        assert done.returncode == 0, done.stderr
        assert parse_identity(identity_text(memory)).timezone == "Europe/Berlin"
        for more in ((), ("--everything",)):
            assert "nothing is left to do; RESULTS=" in flashing.run("old", *words, *more).stderr
        again = ("--results", str(tmp_path / "again.jsonl"), "--everything")
        assert flashing.run("old", *words, *again).returncode == 0
        assert "nothing is left to do" in flashing.run("old", *words, *again).stderr
        table.write_text("hostname,timezone\nkitchen,Europe/Berlin\nhall,UTC\n")
        new = loop_device(card_file(tmp_path / "other", CARD))
        with new as other:
            assert flashing.run("new", *card_options((other,)), "--csv", str(table)).returncode == 0
        done = flashing.run("new", *words)
        assert done.returncode == 0, done.stderr
    assert parse_identity(identity_text(memory)).hostname == "hall", "it was kitchen with the other image"
    assert parse_identity(identity_text(tmp_path / "other")).hostname == "kitchen"


def test_a_card_that_has_passed_and_was_cut_later_is_not_taken_for_done(flashing: Flashing, tmp_path: Path) -> None:
    table, memory = tmp_path / "boards.csv", card_file(tmp_path / "card", CARD)
    table.write_text("hostname\nkitchen\nhall\n")
    with loop_device(memory) as card:
        words = [*card_options((card,)), "--csv", str(table)]
        assert flashing.run("old", *words).returncode == 0
        assert "it is kitchen, and has passed" in flashing.run("old", *words).stderr
        with card.path.open("r+b") as disk:
            disk.write(bytes(MIB))  # what every run begins with
        done = flashing.run("old", *words)
    assert done.returncode == 0, done.stderr
    assert parse_identity(identity_text(memory)).hostname == "hall"


def test_a_bad_card_does_not_stop_the_good_one_beside_it(flashing: Flashing, tmp_path: Path) -> None:
    first, second = two_cards(tmp_path)
    with loop_device(first) as good, faulty_card(second, real=16 * MIB, mode="drop") as bad:
        done = flashing.run("old", *card_options((good, bad)))
    assert done.returncode == 1
    assert f"PASS {good.path}" in done.stdout
    assert f"FAIL {bad.path}" in done.stdout
    assert sorted(line["verdict"] for line in flashing.lines()) == ["FAIL", "PASS"]


def test_a_file_takes_the_place_of_a_card_only_when_asked_so(flashing: Flashing, tmp_path: Path) -> None:
    file = tmp_path / "card.img"
    done = flashing.run("old", "--device", str(file))
    assert done.returncode == 1 and not file.exists()
    assert flashing.run("old", "--to-file", str(file)).returncode == 0
    assert has_image(file, flashing.image("old"))
    done = flashing.run("old", "--device", str(file))
    assert "TO_FILE" in done.stderr
    done = flashing.run("old", "--to-file", str(file))
    assert "there is no terminal to ask on" in done.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o644)
    done = flashing.run("old", "--to-file", str(file), "--yes", "--api-key", "sk-0123456789")
    assert done.returncode == 1 and f"chmod 600 {file}" in done.stderr


def test_a_file_may_have_any_size(flashing: Flashing, tmp_path: Path) -> None:
    file = used_card(tmp_path / "card.img", 30 * MIB + 1000)
    done = flashing.run("old", "--to-file", str(file), "--yes")
    assert done.returncode == 0, done.stdout
    assert has_image(file, flashing.image("old"))
    assert file.stat().st_size == 30 * MIB + 1024
