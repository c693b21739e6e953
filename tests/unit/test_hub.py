"""A model reaches the controller whole and once: the real hub client against a hub on the loopback."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from deploy.controller import progress
from deploy.controller.progress import Progress
from deploy.models import receipt
from deploy.models.hub.fetch import fetch_hub_model
from deploy.models.hub.hub_model import HubModel
from deploy.models.hub.transfer import Meter, short_name
from deploy.paths import REPO
from tests import hub_server
from tests.hub_case import CONTENT, failure, hub_environment, silent
from tests.hub_server import REVISION, Fault, HubServer


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    with hub_environment(monkeypatch, tmp_path) as server:
        yield server


@pytest.fixture
def model(hub: HubServer) -> HubModel:
    return hub.publish("owner/name", "sub/tiny.gguf", CONTENT)


def test_brings_the_file_with_one_transfer(hub: HubServer, model: HubModel) -> None:
    path = fetch_hub_model(model, silent)
    assert path.read_bytes() == CONTENT
    assert path.parts[-3:] == ("models", model.sha256[:16], "tiny.gguf")
    assert (hub.count("HEAD"), hub.count("GET"), hub.sent()) == (1, 1, len(CONTENT))


def test_a_second_run_needs_no_network_and_reads_no_byte(
    hub: HubServer, model: HubModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fetch_hub_model(model, silent)
    hub.requests.clear()
    monkeypatch.setattr(receipt, "sha256_of", lambda path: pytest.fail("hashed again"))
    assert fetch_hub_model(model, silent) == path
    assert hub.requests == []


def test_a_receipt_of_the_first_kind_had_no_version_and_counts(
    hub: HubServer, model: HubModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fetch_hub_model(model, silent)
    kept = path.with_name(f"{path.name}.receipt.json")
    written = json.loads(kept.read_text())
    assert written.pop("version") == 1
    kept.write_text(json.dumps(written))
    monkeypatch.setattr(receipt, "sha256_of", lambda path: pytest.fail("hashed again"))
    fetch_hub_model(model, silent)


def test_a_touched_file_is_hashed_again_once_and_kept(
    hub: HubServer, model: HubModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.utime(fetch_hub_model(model, silent))
    hub.requests.clear()
    fetch_hub_model(model, silent)
    assert hub.requests == []
    monkeypatch.setattr(receipt, "sha256_of", lambda path: pytest.fail("hashed twice"))
    fetch_hub_model(model, silent)


def test_a_changed_file_is_fetched_again_even_with_its_old_time(hub: HubServer, model: HubModel) -> None:
    path = fetch_hub_model(model, silent)
    before = path.stat()
    path.write_bytes(CONTENT[:-1] + b"?")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert fetch_hub_model(model, silent).read_bytes() == CONTENT
    assert hub.count("GET") == 2


def test_a_broken_connection_goes_on_where_it_broke(hub: HubServer, model: HubModel) -> None:
    hub.fault, hub.after = Fault.CLOSE_ONCE, 100_000
    assert fetch_hub_model(model, silent).read_bytes() == CONTENT
    assert [request.start for request in hub.requests] == [0, 0, 100_000]
    assert hub.sent() == len(CONTENT)


def test_a_line_that_breaks_often_still_gets_there(hub: HubServer, model: HubModel) -> None:
    hub.fault, hub.after = Fault.CLOSE, 30_000
    assert fetch_hub_model(model, silent).read_bytes() == CONTENT
    assert hub.sent() == len(CONTENT)


def test_a_hub_that_sends_byte_by_byte_is_waited_for(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(hub_server.PACE, Fault.TRICKLE, (1, 0.2))
    hub.fault = Fault.TRICKLE
    small = hub.publish("owner/name", "small.gguf", CONTENT[:8])
    assert fetch_hub_model(small, silent).read_bytes() == CONTENT[:8]


def test_a_killed_download_goes_on_in_the_next_process(hub: HubServer, model: HubModel) -> None:
    hub.fault = Fault.SLOW
    child = subprocess.Popen([sys.executable, "-c", _fetch_script(model)], cwd=REPO, stderr=subprocess.DEVNULL)
    _wait_for(lambda: model.part.exists() and model.part.stat().st_size > 0)
    child.kill()
    child.wait()
    hub.fault = Fault.NONE
    kept = model.part.stat().st_size
    assert fetch_hub_model(model, silent).read_bytes() == CONTENT
    assert 0 < kept < len(CONTENT)
    assert hub.requests[-1].start == kept


def test_a_damaged_part_is_dropped_and_all_fetched_in_the_same_run(hub: HubServer, model: HubModel) -> None:
    model.part.parent.mkdir(parents=True)
    model.part.write_bytes(bytes(50_000))
    assert fetch_hub_model(model, silent).read_bytes() == CONTENT
    assert [request.start for request in hub.requests if request.method == "GET"] == [50_000, 0]


@pytest.mark.parametrize("size", [100_000, len(CONTENT) + 1])
def test_a_server_without_range_and_an_overlong_part_restart_from_zero(
    hub: HubServer, model: HubModel, size: int
) -> None:
    hub.fault = Fault.IGNORE_RANGE
    model.part.parent.mkdir(parents=True)
    model.part.write_bytes(bytes(size))
    assert fetch_hub_model(model, silent).read_bytes() == CONTENT
    assert hub.count("GET") == 1


def test_bytes_come_from_another_origin_which_never_sees_the_token(
    hub: HubServer, model: HubModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on the public hub; a broken connection asks the hub again, since signed addresses expire."""
    hub.redirect, hub.token = True, "hf_secret"
    hub.fault, hub.after = Fault.CLOSE_ONCE, 100_000
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert fetch_hub_model(model, silent).read_bytes() == CONTENT
    storage = [request for request in hub.requests if request.path.startswith("/storage")]
    assert [(request.start, request.authorization) for request in storage] == [(0, ""), (100_000, "")]
    assert hub.sent() == len(CONTENT)


def test_offline_serves_what_is_there_and_asks_nobody(
    hub: HubServer, model: HubModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "not cached and HF_HUB_OFFLINE is set" in failure(model)
    model.part.write_bytes(CONTENT)  # a run that was cut before its last step
    assert fetch_hub_model(model, silent).read_bytes() == CONTENT
    assert hub.requests == []


def test_what_the_hf_tool_has_cached_is_taken_from_there(
    hub: HubServer, model: HubModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    cached = Path(constants.HF_HUB_CACHE) / "models--owner--name" / "snapshots" / REVISION / model.file
    cached.parent.mkdir(parents=True)
    cached.write_bytes(CONTENT)
    assert fetch_hub_model(model, silent).read_bytes() == CONTENT
    assert hub.requests == []


def test_threads_that_want_the_same_model_share_one_transfer(hub: HubServer, model: HubModel) -> None:
    threads = [threading.Thread(target=fetch_hub_model, args=(model, silent)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert model.path.read_bytes() == CONTENT
    assert hub.count("GET") == 1


def test_pyinfras_greenlets_and_processes_share_one_transfer(hub: HubServer, model: HubModel) -> None:
    """Under gevent's patches, two processes of three greenlets each; the loop keeps turning during the transfer."""
    hub.fault = Fault.SLOW
    script = f"""
from gevent import monkey; monkey.patch_all()
import gevent
{_fetch_script(model, call=False)}
ticks = []
def tick():
    while True:
        ticks.append(1); gevent.sleep(0.05)
gevent.spawn(tick)
jobs = [gevent.spawn(fetch_hub_model, model) for _ in range(3)]
gevent.joinall(jobs, raise_error=True, timeout=30)
assert len({{job.value for job in jobs}}) == 1
print(len(ticks))
"""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", script]
    children = [subprocess.Popen(command, cwd=REPO, stdout=pipe, stderr=pipe, text=True) for _ in range(2)]
    printed, said = zip(*(child.communicate(timeout=60) for child in children), strict=True)
    assert [child.returncode for child in children] == [0, 0], said
    assert max(map(int, printed)) > 8, "the one that transfers lets others run meanwhile"
    assert hub.count("GET") == 1


def test_progress_says_how_far_how_fast_and_how_long() -> None:
    meter = Meter(Progress("tiny.gguf", silent), 669_000_000, 100_000_000)
    assert meter.progress_detail(312_000_000, 26.0) == "312 of 669 MB, 46 %, 8.2 MB/s, 44 s left"
    assert meter.progress_detail(101_000_000, 1.0).endswith("1.0 MB/s, 9 min left")


def test_progress_comes_while_bytes_come(hub: HubServer, model: HubModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PERIOD", 0.0)
    lines: list[str] = []
    fetch_hub_model(model, lines.append)
    assert any(line.startswith(f"{short_name(model.path.name)}: ") and "of 0 MB, 100 %" in line for line in lines)


def _fetch_script(model: HubModel, call: bool = True) -> str:
    imports = "from deploy.models.hub.fetch import fetch_hub_model\nfrom deploy.models.hub.hub_model import HubModel\n"
    return f"{imports}model = {model!r}\n" + ("fetch_hub_model(model)" if call else "")


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
