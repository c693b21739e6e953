"""`make channel DEST=user@host:path` over a real sshd: what one controller published, another goes on with."""

from pathlib import Path

import pytest

from deploy.errors import BoardllamaError
from deploy.fleet.channel.destination import destination_of
from deploy.fleet.channel.record import read_record
from tests.channel.ssh_server import ssh_server
from tests.unit.made_offer import KIND, keys, offer, publish

__all__ = ["keys"]


def test_two_controllers_publish_at_one_address(tmp_path: Path, keys: Path) -> None:
    there = tmp_path / "srv/www/boards"  # none of it is there
    with ssh_server(tmp_path / "ssh") as login:
        address = destination_of(f"{login}:{there}").address
        publish(tmp_path / "first", offer(tmp_path / "made"), address=address)
        second = offer(tmp_path / "made", '{"a": 2}', model=b"GGUF" * 2000, kind="rockpro64")
        publish(tmp_path / "second", second, 1, address=address)
    record = read_record(there)
    assert set(record.kinds) == {KIND, "rockpro64"} and record.is_of(there)
    named = {name for one in record.kinds.values() for name in one.offering.debs}
    assert {path.name for path in (there / "pool").iterdir()} == named
    models = {name for one in record.kinds.values() for name in one.offering.models}
    assert {path.name for path in (there / "models").iterdir()} == models


def test_what_ssh_says_is_told_and_nothing_is_made(tmp_path: Path, keys: Path) -> None:
    with pytest.raises(BoardllamaError, match=r"ssh: Could not resolve hostname nowhere\.invalid"):
        publish(tmp_path / "first", offer(tmp_path / "made"), address="www@nowhere.invalid:/srv")
    assert not (tmp_path / "first/pool").exists()
