"""Settings that are text: whatever stands in one, it is taken as it is or refused in one line, and never acts."""

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from deploy.build.artifact import Build
from deploy.build.compile import job_files
from deploy.cpu import find_cpu
from deploy.errors import BoardllamaError, shown, without_login
from deploy.onboard.server import config
from deploy.onboard.service import OLLAMA
from deploy.paths import REPO, cache_dir, user_path
from deploy.setting_fields import SettingsError
from deploy.setting_rules import RULES
from deploy.settings import Settings
from deploy.stages.service import wanted_files
from tests.unit.test_settings import refused, told

TEXTS = [name for name, field in Settings.model_fields.items() if field.annotation is str]
ELSEWHERE = {
    "cores",
    "cpu",
    "llama_source",
    "server_host",
    "server_clients",
    "kv_cache",
    "speculative",
    "log_level",
    "log_format",
}
HOSTILE = [
    "",
    " ",
    "x" * 10_000,
    "/" + "x" * 10_000 + ".gguf",
    "a/" * 5_000,
    "\n",
    "a\nExecStart=/bin/sh",
    "x.gguf\n",
    "a\0b",
    "\x1b[2J",
    "\u2028",
    "caf\udce9",
    "\u00fc\u4e2d\U0001f999",
    "'",
    '"',
    "`reboot`",
    "$(reboot)",
    "${HOME}",
    "%i %n %%",
    "; rm -rf /",
    "~nobody-at-all/x.gguf",
    "~/x.gguf",
    "-x.gguf",
    ".x.gguf",
    "../../etc/passwd",
    "a,b.gguf",
    "file:///etc/passwd\nx",
    "https://user:secret@host/x y",
    "ext::sh -c reboot",
    "git@-oProxyCommand=reboot:x",
    "fe80::1%\nIPAddressAllow=any",
    "fe80::1%eth0",
    "fe80::%$(reboot)/64",
    "0.0.0.0/0\nx",
    "None",
    "{}",
    "{{ 7 * 7 }}",
]
# What makes a setting count: the model's kind, the source's, an address that networks belong to.
CHOICES: list[dict[str, Any]] = [
    {},
    {"model": "path", "model_path": "/models/x.gguf"},
    {"llama_source": "git"},
    {"llama_source": "archive", "llama_archive_url": "https://example.org/x.tar", "llama_archive_sha256": "ab" * 32},
    {"llama_source": "path"},
    {"server_host": "0.0.0.0", "api_key": "generate"},
]


def test_every_text_has_a_rule() -> None:
    assert set(TEXTS) == (set(RULES) & set(Settings.model_fields)) | ELSEWHERE


@pytest.mark.parametrize("name", [*TEXTS, "api_key", "model", "config_conflict", "min_tokens_per_second"])
def test_a_hostile_text_is_one_line_or_nothing_but_a_value(name: str, tmp_path: Path) -> None:
    for choice in CHOICES:
        for value in HOSTILE:
            try:
                settings = told(**{**choice, name: value})
            except SettingsError as error:
                assert str(error).isprintable() and len(str(error)) < 2000, (value, error)
                assert "secret" not in str(error) or name in ELSEWHERE
            else:
                harmless(settings, tmp_path)


def harmless(settings: Settings, folder: Path) -> None:
    """The files that come of them have as many lines as those of the defaults, and a shell reads values alone."""
    unit, plain = (wanted_files(each, OLLAMA, None) for each in (settings, told(model=None)))
    for path, text in unit.items():
        assert len(text.splitlines()) == len(plain[path].splitlines()), text
        assert not {"reboot", "rm -rf"} & set(
            shlex.split(text.decode(), comments=True) if path.suffix != ".json" else []
        )
    assert config.config_problems(json.loads(settings.config_json(OLLAMA)), OLLAMA, keyed=True) == []
    if settings.llama_source != "path":
        told_shell = job_files(Build(settings.source, find_cpu("generic")))["job.sh"]
        if (folder / "job.sh").exists() and (folder / "job.sh").read_bytes() == told_shell:
            return
        (folder / "job.sh").write_bytes(told_shell)
        script = f"JOB={shlex.quote(str(folder))}; . $JOB/job.sh; set"
        done = subprocess.run(["sh", "-c", script], env={"PATH": os.defpath}, capture_output=True, check=True)
        assert done.stderr == b""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"llama_pypi_version": "latest"}, "llama_pypi_version is 'latest': must be a version as 0.3.36 is (PEP 440)"),
        ({"llama_source": "archive"}, "llama_archive_url is ''"),
        ({"llama_commit": "main", "model": None}, "llama_commit is 'main': must be a full commit of 40"),
        ({"llama_git_url": "ext::sh -c id"}, "llama_git_url is 'ext::sh -c id': must be an http(s), ssh, file"),
        ({"llama_archive_sha256": "AB" * 32}, "llama_archive_sha256 is 'ABAB"),
        ({"llama_path": "x" * 10_000}, "(10000 characters): must be a path of printable characters"),
        ({"llama_source": "path", "llama_path": "/" + "x" * 300}, "must be a path of printable characters"),
        ({"llama_source": "path", "llama_path": "~nobody-at-all"}, "must begin with a user of this computer after ~"),
        ({"llama_source": "path", "llama_path": "/nonexistent"}, "must be a llama.cpp folder"),
        ({"model": None, "model_repo": "name"}, "model_repo is 'name': must be OWNER/NAME"),
        ({"model": None, "model_revision": "main"}, "model_revision is 'main': must be a full commit"),
        ({"model": "path", "model_path": f"/{'x' * 201}.gguf"}, "the file's name at most 200 bytes"),
        ({"model": "path", "model_path": "/m/.x.gguf"}, 'model file is ".x.gguf": must be the name of a .gguf file'),
        (
            {"model": "hub", "model_file": "x-00001-of-00003.gguf"},
            "is one of 3 parts of a model: take the first, and name the others",
        ),
        ({"server_host": "fe80::1%eth0"}, 'server_host is "fe80::1%eth0": must be an IP address or localhost'),
        (
            {"server_clients": "192.168.1.5/24"},
            "holds '192.168.1.5/24': must be an address, or a network such as 192.168.1.0/24",
        ),
        ({"server_clients": "kitchen"}, "server_clients holds 'kitchen': must be an address"),
        ({"server_clients": "fe80::%x/64"}, "server_clients holds 'fe80::%x/64'"),
        ({"server_port": "http"}, "server_port is 'http': must be a whole number"),
        ({"model": "path"}, "model is path, and model_path is empty: it must name the .gguf file to serve"),
        ({"config_conflict": "maybe"}, "config_conflict is 'maybe': must be '"),
    ],
)
def test_each_rule_says_what_was_seen_and_what_is_wanted(changes: dict[str, Any], said: str) -> None:
    assert said in refused(**changes)


def test_several_wrong_texts_are_said_at_once() -> None:
    said = refused(model_repo="x", llama_pypi_version="x", model=None)
    assert "model_repo is 'x'" in said and "llama_pypi_version is 'x'" in said


def test_a_whole_split_model_in_one_part_is_a_file_as_any() -> None:
    assert told(model="hub", model_file="x-00001-of-00001.gguf").model_name == "x-00001-of-00001.gguf"


def test_a_folder_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    """A link to itself stands for what not even root may read."""
    (tmp_path / "ggml").mkdir()
    (tmp_path / "ggml" / "CMakeLists.txt").symlink_to("CMakeLists.txt")
    assert "must be a llama.cpp folder" in refused(llama_source="path", llama_path=str(tmp_path))


def test_a_value_is_shown_in_one_short_piece() -> None:
    assert shown("it's") == '"it\'s"'
    assert shown("a\nb\u2028\udce9") == "'a\\nb\\u2028\\udce9'"
    assert len(shown("x" * 10_000)) < 240
    assert shown("https://user:secret@host/x") == "'https://host/x'"
    assert shown("https://user:p@secret@host/x") == "'https://host/x'"
    assert shown("https://user:p/secret@host/x") == "'https://host/x'"
    assert shown("https://host:8080/x@1.0") == "'https://host:8080/x@1.0'"
    assert without_login("user:secret@host:80") == "host:80"
    assert shown("git@host:x") == "'git@host:x'"


def test_a_path_of_the_environment_has_the_same_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOARDLLAMA_CACHE", "~nobody-at-all/cache")
    with pytest.raises(BoardllamaError, match=r"BOARDLLAMA_CACHE is '~nobody-at-all/cache': must begin with a user"):
        cache_dir()
    assert user_path("x", str(REPO)) == REPO
