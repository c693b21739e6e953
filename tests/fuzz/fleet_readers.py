"""Readers of what a controller, a monitor, a gateway or a board is told by others of a fleet, and of inventories."""

import ast
import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from deploy.errors import BoardllamaError
from deploy.fleet.bundle.bundle_file import LIST, SIGNATURE, BundleEntry, BundleList, list_from, read_bundle_list
from deploy.fleet.channel.phases import BoardReport, next_record, phase_sentence, read_reports
from deploy.fleet.channel.record import ChannelRecord, KindRecord, Offering, record_from
from deploy.fleet.gateway.client_keys import read_client_keys
from deploy.onboard.channel.offered import newest_offered
from deploy.onboard.channel.subscription import TOLD, Subscription, read_memory
from deploy.onboard.gateway.board_table import BoardEntry, BoardTable, ServedModel, table_from_json
from deploy.onboard.monitor.fleet import fleet_table, left_in
from deploy.onboard.monitor.page import page_text
from deploy.onboard.monitor.prometheus import answered_values
from deploy.onboard.places import PLACES
from deploy.setting_fields import GatewayFields, MonitorFields, SettingsError, role_settings
from deploy.settings import settings_from
from deploy.tune.group_data import edited_text, write_group_data
from deploy.tune.outcome import common_settings, require_figures
from deploy.tune.remote_sweep import hear_outcome
from deploy.tune.table import outcome_lines
from tests.fuzz.memory_file import file_of, scratch
from tests.fuzz.reader import Reader, require_line
from tests.unit.made_offer import KIND, Teller, channel_fields
from tests.unit.test_image_formats import SHA256
from tests.unit.test_settings import ALL
from tests.unit.test_tuned_settings import outcome

TIME = "2026-11-01T12:00:00+00:00"
OFFERING = Offering(release="r1", created=TIME, debs=("a.deb",), models=(SHA256,), phase=0, since=TIME)


def read_index(data: bytes) -> None:
    """A channel's index, as a board reads it."""
    newest_offered(KIND, lambda: "kitchen", file_of("Packages", data))


def read_channel_record(data: bytes) -> None:
    """What a channel offers, as its publisher reads it; what is written is read back."""
    found = record_from(data, scratch())
    if record_from(found.model_dump_json().encode(), scratch()) != found:
        raise AssertionError("it is not read back as it was written")


def read_told(data: bytes) -> None:
    """What a board is told of its channel, and what it remembers."""
    places = replace(PLACES, channel=scratch(), channel_state=scratch())
    file_of("memory.json", data)
    read_memory(places)
    file_of(TOLD, data)
    Subscription.read(places)


def read_board_reports(data: bytes) -> None:
    """What boards report, and what the controller says and does by it."""
    (folder := scratch() / "said").mkdir(exist_ok=True)
    (folder / "a.jsonl").write_bytes(data)
    fields = channel_fields(channel_phases=[0, 10], channel_soak_hours=2)
    record = next_record(KindRecord(offering=OFFERING), OFFERING, fields, read_reports(folder))
    require_line(phase_sentence(KIND, record, fields))


def read_bundle(data: bytes) -> None:
    """A bundle, up to its signature: nobody has signed what is made here."""
    read_bundle_list(file_of("site.bundle", data), file_of("allowed_signers", b""))


def read_bundle_text(data: bytes) -> None:
    """The list of a bundle, behind its signature."""
    list_from(data, scratch())


def bundle_examples() -> list[bytes]:
    """Tars: one with both members, and one whose list is a link."""
    made = []
    for kind, link in ((tarfile.REGTYPE, ""), (tarfile.SYMTYPE, "elsewhere"), (tarfile.GNUTYPE_SPARSE, "")):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as archive:
            for name, content in ((LIST, bundle_text()), (SIGNATURE, b"-----BEGIN SSH SIGNATURE-----\n")):
                member = tarfile.TarInfo(name)
                member.size, member.type, member.linkname = len(content), kind, link
                archive.addfile(member, io.BytesIO(content))
        made.append(file.getvalue()[:4096])
    return made


def bundle_text() -> bytes:
    entry = BundleEntry(sha256=SHA256, size=1, mode="644")
    return BundleList(files={"models/a.gguf": entry, "dist/b.img": entry}).model_dump_json(indent=1).encode()


def read_client_file(data: bytes) -> None:
    """The file of a gateway's clients."""
    read_client_keys(file_of("clients.txt", data))


def read_board_table(data: bytes) -> None:
    """What a gateway knows of its boards; what is written is read back."""
    table = table_from_json(data.decode(errors="replace"))
    with suppress(ValueError):
        if table_from_json(table.to_json()) != table:
            raise AssertionError("it is not read back as it was written")


def table_example() -> bytes:
    offer = ServedModel("smol", "smol.gguf", "chat", 4)
    return BoardTable((BoardEntry("kitchen", "10.0.0.2", 11434, SHA256, (offer,)),), 60.0).to_json().encode()


def show_page(data: bytes) -> None:
    """The fleet's page, when Prometheus answers so, and when the deploys left so."""
    left = {"kitchen": {"kind": "rpi5", "model": "m", "release": "r1", "tokens_per_second": 9.0, "when": 1.7e9}}
    page_text(fleet_table(left, lambda query: answered_values(data)), 1.7e9)
    page_text(fleet_table(left_in(data.decode(errors="replace")), lambda query: []), 1.7e9)


def page_examples() -> list[bytes]:
    """An answer of Prometheus, and what the deploys leave."""
    rows = [
        {"metric": {"board": "kitchen", "gateway": "g", "alertname": "a", "release": "r"}, "value": [1.7e9, value]}
        for value in ("1", "NaN", "+Inf", "1e18")
    ]
    left = {"kitchen": {"kind": "rpi5", "model": "m", "release": "r1", "tokens_per_second": 9.0, "when": 1.7e9}}
    return [json.dumps({"data": {"result": rows}}).encode(), json.dumps({"boards": left}).encode()]


def hear_board(data: bytes) -> None:
    """What a board says during `make tune`, what is shown of it, and the group data that it becomes: no code."""
    teller, lines = Teller(), [*data.decode(errors="replace").split("\n"), '{"refused": "it is over"}']
    try:
        found = hear_outcome(teller, (line or "{}" for line in lines).__next__)
    finally:
        for line in teller.said:
            require_line(line)
    for line in outcome_lines("kitchen", found):
        require_line(line)
    require_figures(found)
    (file := scratch() / "kind.py").unlink(missing_ok=True)
    values, _ = common_settings([found, found])
    write_group_data(file, values, f"{found.board}: what `make tune` found.")
    about, *rest = ast.parse(file.read_text()).body
    told = {ast.unparse(node.targets[0]): ast.literal_eval(node.value) for node in rest if isinstance(node, ast.Assign)}
    if not isinstance(about, ast.Expr) or not isinstance(ast.literal_eval(about.value), str) or told != values:
        raise AssertionError(file.read_text())


def tune_examples() -> list[bytes]:
    """A sweep that ends well, and one that is refused."""
    result = json.dumps({"result": json.loads(outcome().model_dump_json())})
    return [result.encode(), b'{"say": "30 s"}\n' + result.encode(), b'{"refused": "it serves"}\n']


def edit_inventory(data: bytes) -> None:
    """A file of group data that gets values: nothing else of it changes."""
    before = data.decode()
    after = edited_text(before, {"threads": 3, "cpu": "cortex-a76"})
    told = dict(assignments(after))
    if (ast.literal_eval(told["threads"]), ast.literal_eval(told["cpu"])) != (3, "cortex-a76"):
        raise AssertionError(after)


def assignments(text: str) -> Iterator[tuple[str, ast.expr]]:
    """Name and value of each plain assignment."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value


GROUP_DATA = (
    b'"""Ours."""\n# c\ncpu = "auto"\nmodels = [\n  "a",\n]\nthreads = 4  # many\nif True:\n    x = "\xc3\xa9"\n'
)


def read_settings(data: bytes) -> None:
    """What an inventory says of a board, and the config.json that it becomes."""
    found = settings_from(ALL | changes_in(data))
    for service, own in found.hosted.items():
        own.config_json(service)
        own.with_edits(data, service)


def read_role_settings(data: bytes) -> None:
    """What it says of a gateway and of a monitor."""
    changes = changes_in(data)
    for role in (GatewayFields, MonitorFields):
        role_settings(role, ALL | changes)


def changes_in(data: bytes) -> dict[str, Any]:
    """The settings that differ: a JSON object, of which others are none."""
    with suppress(ValueError, RecursionError):
        if isinstance(found := json.loads(data), dict):
            return {name: value for name, value in found.items() if name.isprintable()}
    return {}


def settings_examples() -> list[bytes]:
    """Boards: as it is, one that listens, one with several models, one with a pinned model, one that pulls."""
    pin = {name: ALL[name] for name in ALL if name.startswith("model_")} | {"model": "hub", "model_size": 1}
    several = {"models": ["smoke", {"model": "/a/b.gguf", "alias": "b", "start": "on_demand"}], "ollama_api": True}
    pulls = {"channel_url": "https://u:p@a/b", "channel_kind": "rpi5", "channel_report": "mqtt://h/t"}
    listens = {"server_host": "0.0.0.0", "api_key": "a" * 20, "server_clients": "10.0.0.0/8 fd00::1", "server_port": 80}
    further = {"further_files": [{"kind": "projector", "file": "p.gguf", "sha256": SHA256, "size": 1}]}
    whole = {name: value for name, value in ALL.items() if value is not None}
    return [json.dumps(one).encode() for one in (whole, listens, several, pin | further, pulls)]


OFFER = (
    f"Package: boardllama-release-rpi5-r1\nBoardllama-Release: r1\nBoardllama-Kind: {KIND}\n"
    f"Boardllama-Created: {TIME}\n"
    f"Boardllama-Build: b\nBoardllama-Models:\n {SHA256} 10 /var/lib/a.gguf\nPhased-Update-Percentage: 10\n\n"
)
RECORD = ChannelRecord(kinds={KIND: KindRecord(offering=OFFERING)}, signed=TIME)
SUBSCRIPTION = {"url": "http://a", "kind": KIND, "canary": False, "report": "", "older": False}
BAD = BoardReport(board="b", kind=KIND, release="r1", created=TIME, good=False, reason="it hangs")
CLIENTS = f"me {'k' * 20}\n# c\nyou sha256:{SHA256}\n".encode()
INDEX_ERRORS = (KeyError, ValueError)
OURS = (BoardllamaError,)

FLEET_READERS = (
    Reader("channel-index", read_index, lambda: [OFFER.encode()], INDEX_ERRORS, (b"Filename: ", b"\n\n"), 8),
    Reader("channel-record", read_channel_record, lambda: [RECORD.model_dump_json().encode()], OURS, (), 8),
    Reader("channel-told", read_told, lambda: [json.dumps(SUBSCRIPTION).encode()], (LookupError,), (), 6),
    Reader("board-reports", read_board_reports, lambda: [BAD.model_dump_json().encode() + b"\n"], (), (), 6),
    Reader("bundle", read_bundle, bundle_examples, OURS, (b"bundle.json", b"ustar"), 1),
    Reader("bundle-list", read_bundle_text, lambda: [bundle_text()], OURS, (b"../",), 8),
    Reader("gateway-clients", read_client_file, lambda: [CLIENTS], OURS, (b"sha256:",), 6),
    Reader("gateway-boards", read_board_table, lambda: [table_example()], (ValueError,), (), 6),
    Reader("monitor-page", show_page, page_examples, (), (b"+Inf", b"1e300"), 4),
    Reader("tune-answer", hear_board, tune_examples, OURS, (b"'", b'\\"\\"\\"', b"'+f('x')+'"), 3),
    Reader("group-data", edit_inventory, lambda: [GROUP_DATA], (BoardllamaError, UnicodeDecodeError), (b"\\\n",), 2),
    Reader("settings", read_settings, settings_examples, (SettingsError,), tuple(n.encode() for n in ALL), 0.4),
    Reader("role-settings", read_role_settings, settings_examples, (SettingsError,), (), 2),
)
