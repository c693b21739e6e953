"""How a gateway gets its files: judged by real haproxy, put there together, or not at all."""

import shutil
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from pydantic import SecretStr

from deploy.errors import BoardllamaError
from deploy.fleet.gateway import gateway_stage
from deploy.fleet.gateway.gateway_files import TableChanged
from deploy.fleet.gateway.haproxy_files import CONFIG
from deploy.hosts.facts import Text
from deploy.hosts.snapshot import Snapshot, memory_of
from deploy.hosts.text_files import TextFile, is_edited
from deploy.onboard.gateway.board_table import BoardEntry, BoardTable
from deploy.onboard.gateway.gateway_places import GATEWAY_PLACES
from deploy.onboard.gateway.rotate import read_board_keys
from deploy.paths import REPO
from tests.unit.gateway_host import GatewayHost, gateway_host
from tests.unit.known_host import KnownHost, program
from tests.unit.running_gateway import await_true, chat, gateway_settings

__all__ = ["gateway_host"]

HALL, LAB = (BoardEntry(name, "127.0.0.1", 1, "", (chat("smol"),)) for name in ("hall", "lab"))
LEARNER = """
import sys, time
sys.path.insert(0, {repo!r})
from pathlib import Path
from tests.unit.test_gateway_load import HALL
from deploy.onboard.gateway import rotate
run = rotate.RotationRun(rotate.GatewayPlaces(Path({config!r}), Path("/"), Path({runtime!r}), 1), print)
done = run.learn(HALL, "a-newer-key")
Path("tried").touch()
while not done:
    time.sleep(0.05)
    done = run.learn(HALL, "a-newer-key")
"""


def serves(host: GatewayHost, port: int = 0) -> bool:
    """Whether the gateway answers."""
    try:
        return requests.get(f"http://127.0.0.1:{port or host.port}/health", timeout=5).status_code == 200
    except requests.ConnectionError:
        return False


@pytest.mark.parametrize("read_already", [False, True])
def test_haproxy_that_ran_already_serves_the_boards(gateway_host: GatewayHost, read_already: bool) -> None:
    """With the package's own configuration. systemd may have read the gateway's unit since: for another package."""
    own, unit = gateway_host.folder / "own.cfg", (gateway_host.folder / "unit").read_text()
    own.write_text(f"global\n  stats socket {gateway_host.folder}/own.sock\n")
    gateway_host.write_unit(f"-f {own}")
    for word in (["daemon-reload"], ["restart", "haproxy.service"]):
        gateway_host.systemctl(*word)
    before = gateway_host.pid
    gateway_host.write_unit(unit)
    if read_already:
        gateway_host.systemctl("daemon-reload")
    gateway_host.load(gateway_host.files(BoardTable((HALL,))))
    await_true(lambda: serves(gateway_host))
    assert gateway_host.pid != before


def test_a_gateway_that_runs_takes_new_files_without_an_end_of_its_streams(gateway_host: GatewayHost) -> None:
    gateway_host.load(gateway_host.files(BoardTable((HALL,))))
    before = gateway_host.pid
    gateway_host.load(gateway_host.files(BoardTable((HALL, LAB))))
    assert gateway_host.pid == before
    await_true(lambda: serves(gateway_host))


def test_what_haproxy_refuses_changes_nothing(gateway_host: GatewayHost) -> None:
    gateway_host.load(gateway_host.files(BoardTable((HALL,))))
    before, process = gateway_host.state, gateway_host.pid
    with pytest.raises(BoardllamaError, match=r"haproxy does not take it, and serves on as before: .*unknown keyword"):
        gateway_host.load(gateway_host.files(BoardTable((HALL, LAB)), kept=b"nonsense\n"))
    assert gateway_host.state == before and gateway_host.pid == process
    assert serves(gateway_host)


def test_what_haproxy_cannot_start_with_is_taken_back(gateway_host: GatewayHost) -> None:
    """Another program listens at the port, which no check of the files sees."""
    gateway_host.load(gateway_host.files(BoardTable((HALL,))))
    before = gateway_host.state
    gateway_host.write_unit((gateway_host.folder / "unit").read_text() + " -n 4000")
    with socket.create_server(("127.0.0.1", 0)) as other:
        files = gateway_host.files(BoardTable((HALL, LAB)), gateway_port=other.getsockname()[1])
        with pytest.raises(BoardllamaError, match=r"haproxy does not take it.*annot bind socket"):
            gateway_host.load(files)
    after = {path: text for path, text in gateway_host.state.items() if not path.endswith(".new")}
    assert after == before
    await_true(lambda: serves(gateway_host))


def test_boards_that_a_run_does_not_reach_keep_their_keys(gateway_host: GatewayHost) -> None:
    both = {"hall": SecretStr("hall-key"), "lab": SecretStr("lab-key")}
    gateway_host.load(replace(gateway_host.files(BoardTable((HALL, LAB))), keys=both))
    gateway_host.load(replace(gateway_host.files(BoardTable((LAB, HALL))), keys={"hall": SecretStr("newer")}))
    assert read_board_keys(gateway_host.places) == {"hall": "newer", "lab": "lab-key"}
    assert gateway_host.places.keys.stat().st_mode & 0o777 == 0o600
    gateway_host.load(gateway_host.files(BoardTable((HALL,))))
    assert read_board_keys(gateway_host.places) == {"hall": "newer"}


def test_boards_that_a_run_does_not_reach_stay_as_the_gateway_knew_them(tmp_path: Path) -> None:
    boards = [replace(HALL, name="@fake/hall"), replace(LAB, name="@fake/lab")]
    table = Text(BoardTable(tuple(boards)).to_json().encode(), 0o600, "root:root")
    gateway = KnownHost(Snapshot(texts={str(GATEWAY_PLACES.table): table}), others=("@fake/lab", "@fake/hall"))
    memory_of(gateway.host).asked.update(gateway_stage.gateway_texts())
    now = replace(boards[1], port=8080)
    reached = gateway.state.inventory.get_host("@fake/lab")
    reached.connector_data[gateway_stage.ENTRY] = (now, SecretStr("key"))
    with gateway.turn(executing=True):
        gateway.state.activate_host(gateway.host)
        gateway.state.activate_host(reached)
        assert gateway_stage.wanted_table(gateway_settings(tmp_path)).boards == (now, boards[0])


def test_an_operator_s_haproxy_cfg_stays_his_however_often_boards_come(gateway_host: GatewayHost) -> None:
    first = gateway_host.files(BoardTable((HALL,)))
    gateway_host.load(first)
    kept = first.texts[CONFIG].replace(b"retries 3", b"retries 5")
    second = gateway_host.files(BoardTable((HALL, LAB)), kept=kept)
    gateway_host.load(second)
    path = gateway_host.places.config / CONFIG
    assert path.read_bytes() == kept
    record = Text(gateway_host.record.read_bytes(), 0o600, "root:root")
    third = TextFile(str(path), gateway_host.files(BoardTable((HALL, LAB))).texts[CONFIG].decode() + "# more\n")
    assert is_edited(third, Text(kept, 0o600, "root:root"), record)


def test_the_keys_of_all_boards_that_an_operator_s_haproxy_cfg_names_stay(gateway_host: GatewayHost) -> None:
    first = replace(gateway_host.files(BoardTable((HALL, LAB))), keys={"lab": SecretStr("lab-key")})
    gateway_host.load(first)
    gateway_host.load(gateway_host.files(BoardTable((HALL,)), kept=first.texts[CONFIG]))
    assert read_board_keys(gateway_host.places) == {"lab": "lab-key"}


def test_a_key_that_is_learnt_while_another_run_loads_is_not_lost(gateway_host: GatewayHost) -> None:
    """haproxy's check of the new files takes a while."""
    gateway_host.load(gateway_host.files(BoardTable((HALL,))))
    real, places = shutil.which("haproxy"), gateway_host.places
    learner = LEARNER.format(repo=str(REPO), config=str(places.config), runtime=str(places.runtime))
    (gateway_host.folder / "learner.py").write_text(learner)
    begins = f"cd {gateway_host.folder}; {sys.executable} learner.py 9>&- &"
    waits = f"{begins} until test -e {gateway_host.folder}/tried; do sleep 0.1; done;"
    program(
        gateway_host.programs / "haproxy",
        f'test "$1" != -c || {{ {waits} }}; exec {real} "$@"',
    )
    gateway_host.load(gateway_host.files(BoardTable((HALL, LAB))))
    await_true(lambda: read_board_keys(places) == {"hall": "a-newer-key"})


def test_a_load_by_what_a_gateway_no_longer_knows_is_made_anew(
    gateway_host: GatewayHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run has told the gateway of a board's new port meanwhile."""
    gateway_host.load(gateway_host.files(BoardTable((HALL,))))
    old = gateway_host.files(BoardTable((HALL, LAB)))
    gateway_host.places.table.write_text(BoardTable((replace(HALL, port=2),)).to_json())
    before = gateway_host.state
    with pytest.raises(TableChanged):
        gateway_host.load(old)
    assert gateway_host.state == before
    new = gateway_host.files(BoardTable((replace(HALL, port=2), LAB)))
    offered = iter([old, new])
    monkeypatch.setattr(gateway_stage, "gateway_files", lambda settings: (Snapshot(), next(offered)))
    monkeypatch.setattr(gateway_stage, "load_files", lambda remote, files: gateway_host.load(files))
    with gateway_host.remote.turn(executing=True):
        gateway_stage.load_what_is_known(gateway_host.remote.remote, gateway_settings(gateway_host.folder))
    assert gateway_host.state[str(gateway_host.places.table)] == new.texts["boards.json"]
