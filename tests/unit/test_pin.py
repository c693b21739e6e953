"""`make pin`: what the real client hears of a hub, as settings that are valid and an entry that is Python."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from deploy.models.catalogue.entries import hub_file
from deploy.models.hub import pin
from deploy.models.model import FileKind, Model
from deploy.paths import REPO
from tests.hub_case import CONTENT, hub_environment
from tests.hub_server import REVISION, Fault, HubServer
from tests.unit.test_settings import told

OWNER = "owner/name"
PARTS = [f"q4/m-0000{number}-of-00002.gguf" for number in (1, 2)]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    """It has a split model with a projector and a draft, and one in a single file."""
    with hub_environment(monkeypatch, tmp_path) as server:
        server.branches["main"] = REVISION
        server.licences[OWNER] = "gemma"
        for number, name in enumerate([*PARTS, "m.gguf", "mmproj.gguf", "draft.gguf"]):
            server.publish(OWNER, name, CONTENT + bytes([number]))
        yield server


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What `make pin` prints."""
    assert pin.main(["--repo", OWNER, *words]) == 0
    return capsys.readouterr().out


def pasted(text: str) -> dict[str, Any]:
    """The settings of the output, as an inventory's Python would have them."""
    told_there: dict[str, Any] = {}
    exec(text.partition("# Or an entry")[0], told_there)
    return {name: value for name, value in told_there.items() if not name.startswith("__")}


def test_a_file_is_pinned_by_its_head_alone(hub: HubServer, capsys: pytest.CaptureFixture[str]) -> None:
    settings = told(**pasted(printed(capsys, "--file", "m.gguf")))
    assert settings.hub_model == hub.publish(OWNER, "m.gguf", CONTENT + bytes([2]))
    assert {request.method for request in hub.requests if "/api/" not in request.path} == {"HEAD"}


def test_all_files_of_a_model_are_pinned(hub: HubServer, capsys: pytest.CaptureFixture[str]) -> None:
    said = printed(capsys, "--file", PARTS[0], "--projector", "mmproj.gguf", "--draft", "draft.gguf")
    model = told(**pasted(said)).chosen
    assert model
    assert [(file.name, file.kind.value) for file in model.files] == [
        ("m-00001-of-00002.gguf", "weights"),
        ("m-00002-of-00002.gguf", "weights"),
        ("mmproj.gguf", "projector"),
        ("draft.gguf", "draft"),
    ]
    for file in model.files:
        assert file.origin.fetch_file(lambda _: None).read_bytes()[:4] == b"GGUF"
    entry = eval(
        said.partition("entries.py:")[2].strip().removesuffix(","),
        {"Model": Model, "FileKind": FileKind, "hub_file": hub_file},
    )
    assert (entry.name, entry.licence, entry.files) == ("m", "gemma", model.files)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--file", "none.gguf"), "has owner/name at main, but no file none.gguf"),
        (("--file", PARTS[1]), "take the first part"),
        (("--file", "readme.md"), "FILE is 'readme.md': must be a .gguf path"),
        (("--file", "m.gguf", "--repo", "name"), "REPO is 'name': must be OWNER/NAME"),
        (("--file", "m.gguf", "--revision", "no"), "no revision no"),
    ],
)
def test_a_mistake_is_one_line(
    hub: HubServer, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    assert pin.main(["--repo", OWNER, *words]) == 1
    shown = capsys.readouterr()
    assert said in shown.err and shown.err.count("\n") == 1 and shown.out == ""


def test_a_hub_that_says_no_licence_still_pins(hub: HubServer, capsys: pytest.CaptureFixture[str]) -> None:
    hub.licences.clear()
    assert "licence: not known" in printed(capsys, "--file", "m.gguf")


def test_what_is_no_hub_and_no_network_are_told(
    hub: HubServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.fault = Fault.LOGIN_PAGE
    assert pin.main(["--repo", OWNER, "--file", "m.gguf"]) == 1
    assert "does not say commit, size and sha256" in capsys.readouterr().err
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert pin.main(["--repo", OWNER, "--file", "m.gguf"]) == 1
    assert capsys.readouterr().err == "HF_HUB_OFFLINE is set, so no hub can be asked for m.gguf: unset it\n"


def test_make_says_what_it_needs() -> None:
    done = subprocess.run(["make", "pin"], cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "say REPO=owner/name FILE=x.gguf" in done.stderr
