"""Torrents, and the tracker that says who has a file."""

import hashlib
from pathlib import Path

import pytest

from deploy.fleet.sharing.torrent import PIECE, bencode, torrent_bytes
from deploy.fleet.sharing.tracker import Swarms


class TestTorrent:
    def test_values_are_encoded_as_the_standard_says(self) -> None:
        assert bencode({b"spam": [b"a", -3], b"cow": b"moo"}) == b"d3:cow3:moo4:spaml1:ai-3eee"

    def test_each_piece_has_its_hash_and_no_tracker_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "model").write_bytes(b"a" * PIECE + b"b")
        made = torrent_bytes(tmp_path / "model")
        assert hashlib.sha1(b"a" * PIECE).digest() + hashlib.sha1(b"b").digest() in made
        assert b"7:privatei1e" in made
        assert b"announce" not in made


class TestTracker:
    ASKED = f"info_hash=%01%ff%20{17 * 'a'}&port=6881&left=0"

    def test_a_board_hears_of_the_others_and_not_of_itself(self) -> None:
        peers = Swarms()
        assert b"5:peers0:" in peers.answer(self.ASKED, "10.0.0.1", "10.0.0.9")
        answer = peers.answer(self.ASKED, "10.0.0.2", "10.0.0.9")
        assert b"5:peers6:" + bytes([10, 0, 0, 1]) + (6881).to_bytes(2, "big") in answer

    def test_what_this_machine_has_is_told_by_the_address_that_the_board_knows(self) -> None:
        peers = Swarms()
        peers.answer(self.ASKED, "127.0.0.1", "127.0.0.1")
        assert bytes([10, 0, 0, 9]) in peers.answer(self.ASKED, "10.0.0.2", "10.0.0.9")

    def test_who_left_is_named_to_nobody(self) -> None:
        peers = Swarms()
        peers.answer(self.ASKED, "10.0.0.1", "10.0.0.9")
        peers.answer(f"{self.ASKED}&event=stopped", "10.0.0.1", "10.0.0.9")
        assert b"5:peers0:" in peers.answer(self.ASKED, "10.0.0.2", "10.0.0.9")

    def test_files_are_kept_apart(self) -> None:
        peers = Swarms()
        peers.answer(self.ASKED, "10.0.0.1", "10.0.0.9")
        assert b"5:peers0:" in peers.answer(self.ASKED.replace("%01", "%02"), "10.0.0.2", "10.0.0.9")

    @pytest.mark.parametrize(
        "query", ["", "port=6881", "info_hash=x&port=many", ASKED.replace("6881", "70000"), ASKED.replace("6881", "0")]
    )
    def test_no_question_is_an_error(self, query: str) -> None:
        with pytest.raises((KeyError, ValueError)):
            Swarms().answer(query, "10.0.0.1", "10.0.0.9")
