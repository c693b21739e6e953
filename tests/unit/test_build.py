"""Builds: named by everything that goes in, made on any host, and there only when they are whole and proven."""

import io
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import StringCommand
from pyinfra.connectors.local import LocalConnector
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.connectors.util import CommandOutput, OutputLine

from deploy.build import artifact
from deploy.build import compile as build
from deploy.build.artifact import Build, Proof, require_artifact
from deploy.build.builder import Builder
from deploy.build.source import ArchiveSource, content_hash, source_of
from deploy.cpu import Cpu, find_cpu
from deploy.errors import BoardllamaError
from deploy.onboard.places import PROGRAMS
from deploy.stages import build as stage

SOURCE = ArchiveSource(kind="archive", url="https://files.example/llama.tar.gz", sha256="ab" * 32)
VERSION = "version: 0.5.0-dev (build 0, commit abababababab) built with Clang"

# Stands in for the real recipe: same interface, no compiler.
QUICK = """
. "$1/job.sh"; . "$1/steps.sh"
CACHE=$(cd "$1/../.." && pwd); LOG=$CACHE/log; : >"$LOG.step"
echo run >>"$CACHE/runs"
step compiling sh -c "$STAND_IN"
out=$CACHE/out/$NAME; mkdir -p "$out"; cd "$out"
for tool in llama-server llama-cli llama-bench llama-quantize; do echo "$CPU $tool ${ARCHIVE:-}" >$tool; done
sha256sum llama-* >SHA256SUMS
"""


class AnyHost:
    """A host that is this machine, reached without pyinfra's connections; as SSH it has its own home."""

    def __init__(self, home: Path, connector: type = LocalConnector) -> None:
        self.name = "farm" if connector is SSHConnector else "@local"
        self.connector_cls = connector
        self.environment = {"HOME": str(home), "PATH": os.environ["PATH"], "STAND_IN": "true"}
        self.damage = b""

    def run_shell_command(self, command: StringCommand, print_output: bool = False) -> tuple[bool, CommandOutput]:
        done = subprocess.run(
            ["sh", "-c", command.get_raw_value()], env=self.environment, capture_output=True, text=True, check=False
        )
        lines = [OutputLine("stdout", line) for line in done.stdout.splitlines()]
        return done.returncode == 0, CommandOutput(lines + [OutputLine("stderr", x) for x in done.stderr.splitlines()])

    def put_file(self, filename_or_io: Any, remote_filename: str) -> bool:
        body = filename_or_io.read() if isinstance(filename_or_io, io.BytesIO) else Path(filename_or_io).read_bytes()
        Path(remote_filename).write_bytes(body)
        return True

    def get_file(self, remote_filename: str, filename_or_io: Any) -> bool:
        Path(filename_or_io).write_bytes(Path(remote_filename).read_bytes() + self.damage)
        return True


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and the stand-in recipe."""
    recipe = tmp_path / "recipe"
    recipe.mkdir()
    (recipe / "patches").mkdir()
    for name in artifact.RECIPE:
        (recipe / name).write_bytes((artifact.HERE / name).read_bytes())
    (recipe / "recipe.sh").write_text(QUICK)
    for module in (artifact, build):
        monkeypatch.setattr(module, "HERE", recipe)
    monkeypatch.setattr("deploy.build.proof.prove_programs", approve)
    monkeypatch.setenv("BOARDLLAMA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def approve(_folder: Path, cpu: Cpu) -> Proof:
    return Proof(glibc="2.27", instructions={}, version=VERSION, ran_on=cpu.qemu)


def one(cpu: str = "cortex-a76") -> Build:
    return Build(SOURCE, find_cpu(cpu))


def test_the_name_says_the_cpu_and_the_key(cache: Path) -> None:
    assert one().name == f"cortex-a76-{one().key[:16]}"
    assert one().artifact_folder == cache / "builds" / one().name


def test_the_key_follows_everything_that_goes_in(cache: Path) -> None:
    other_source = Build(SOURCE.model_copy(update={"sha256": "cd" * 32}), find_cpu("cortex-a76"))
    keys = {one().key, one("cortex-a72").key, other_source.key}
    for name in artifact.RECIPE:
        with (artifact.HERE / name).open("a") as file:
            file.write("# changed\n")
        keys.add(one().key)
    assert len(keys) == 3 + len(artifact.RECIPE)


def test_the_key_does_not_follow_where_the_source_lies(cache: Path) -> None:
    moved = Build(SOURCE.model_copy(update={"url": "https://elsewhere.example/x.tar"}), find_cpu("cortex-a76"))
    assert moved.key == one().key


def test_processors_share_a_work_folder_and_sources_do_not(cache: Path) -> None:
    other_source = Build(SOURCE.model_copy(update={"sha256": "cd" * 32}), find_cpu("cortex-a76"))
    assert one("cortex-a72").objects_key == one().objects_key != other_source.objects_key


def test_a_build_that_is_not_there_is_refused_by_name(cache: Path) -> None:
    with pytest.raises(BoardllamaError, match=f"the build {one().name} is not there"):
        require_artifact(one())


@pytest.mark.parametrize("connector", [LocalConnector, SSHConnector])
def test_a_build_is_made_on_any_builder_and_described(cache: Path, tmp_path: Path, connector: type) -> None:
    host = AnyHost(tmp_path, connector)
    manifest = build.make_artifact(one(), Builder(host))
    assert manifest == require_artifact(one())
    assert set(manifest.files) == set(PROGRAMS)
    assert manifest.build_info == "b0-abababababab"
    assert manifest.inputs["cpu"] == {"name": "cortex-a76", "mcpu": "cortex_a76-aes-sha2"}
    assert sorted(path.name for path in one().artifact_folder.iterdir()) == sorted([*PROGRAMS, "manifest.json"])
    assert all(os.access(one().artifact_folder / name, os.X_OK) for name in PROGRAMS)
    worked_in = tmp_path / ".cache" / "boardllama" if connector is SSHConnector else cache
    assert (worked_in / "builder" / "runs").read_text() == "run\n"


def test_a_failed_build_names_its_step_its_log_and_the_error(cache: Path, tmp_path: Path) -> None:
    host = AnyHost(tmp_path, SSHConnector)
    host.environment["STAND_IN"] = "echo [1/9] Building; echo 'a.cpp:1: error: no such thing'; echo stopped; exit 1"
    with pytest.raises(BoardllamaError) as failure:
        stage.attempt_build(one(), Builder(host))
    log = tmp_path / ".cache/boardllama/builder/log"
    assert str(failure.value) == f"cortex-a76: compiling (log: farm:{log}): a.cpp:1: error: no such thing"
    assert "no such thing" in log.read_text()
    assert not one().artifact_folder.exists()


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("<urlopen error [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed>", "set SSL_CERT_FILE there"),
        ("<urlopen error Tunnel connection failed: 407 Proxy Authentication Required>", "the proxy wants a login"),
        ("HTTP 407 Proxy Authentication Required", "the proxy wants a login"),
        ("HTTP 429 Too Many Requests", "run again in some minutes"),
    ],
)
def test_the_network_of_the_builder_is_told_as_it_is(said: str, advice: str) -> None:
    assert stage.with_network_advice(said).startswith(f"{said}; ") and advice in stage.with_network_advice(said)
    assert stage.with_network_advice("no space left") == "no space left"


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_what_fetches_on_the_builder_trusts_the_authorities_of_its_user(tmp_path: Path, variable: str) -> None:
    """All of them together, whatever each program calls its variable."""
    (tmp_path / "job.sh").write_bytes(build.job_files(Build(SOURCE, find_cpu("generic")))["job.sh"])
    (tmp_path / "mine.pem").write_text("mine\n")
    (tmp_path / "systems.pem").write_text("the system's\n")
    given = {"SSL_CERT_FILE": str(tmp_path / "systems.pem"), variable: str(tmp_path / "mine.pem")}
    for environment, trusted in (({}, []), (given, ["mine"])):
        script = f'set -u; JOB={tmp_path}; . "$JOB/job.sh"; env'
        done = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, check=True)
        told = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
        for name in ("SSL_CERT_FILE", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS", "PIP_CERT"):
            assert [line for line in trusted if line in Path(told[name]).read_text()] if trusted else name not in told


def test_after_a_failure_the_next_run_builds(cache: Path, tmp_path: Path) -> None:
    host = AnyHost(tmp_path)
    host.environment["STAND_IN"] = "false"
    with pytest.raises(BoardllamaError):
        build.make_artifact(one(), Builder(host))
    host.environment["STAND_IN"] = "true"
    build.make_artifact(one(), Builder(host))
    assert require_artifact(one())


def test_what_breaks_a_rule_gets_no_name(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_folder: Path, _cpu: Cpu) -> Proof:
        raise BoardllamaError("llama-server has no sdot instruction")

    monkeypatch.setattr("deploy.build.proof.prove_programs", refuse)
    with pytest.raises(BoardllamaError, match="no sdot"):
        build.make_artifact(one(), Builder(AnyHost(tmp_path)))
    assert list((cache / "builds").iterdir()) == []


def test_a_binary_with_another_pin_in_it_is_refused(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = Proof(glibc="2.27", instructions={}, version="build 0, commit 000000000000", ran_on="x")
    monkeypatch.setattr("deploy.build.proof.prove_programs", lambda _folder, _cpu: old)
    with pytest.raises(BoardllamaError, match="is not the pin abababababab"):
        build.make_artifact(one(), Builder(AnyHost(tmp_path)))


def test_bytes_that_change_on_the_way_are_refused(cache: Path, tmp_path: Path) -> None:
    host = AnyHost(tmp_path, SSHConnector)
    host.damage = b"?"
    with pytest.raises(BoardllamaError, match="arrived with other bytes"):
        build.make_artifact(one(), Builder(host))
    assert not one().artifact_folder.exists()


def test_a_damaged_artifact_is_refused_and_built_again(cache: Path, tmp_path: Path) -> None:
    build.make_artifact(one(), Builder(AnyHost(tmp_path)))
    (one().artifact_folder / "llama-cli").write_text("short")
    with pytest.raises(BoardllamaError, match="llama-cli is missing or has another size"):
        require_artifact(one())
    build.make_artifact(one(), Builder(AnyHost(tmp_path)))
    assert require_artifact(one())


def test_two_runs_that_finish_the_same_build_at_once_both_succeed(cache: Path, tmp_path: Path) -> None:
    """The faster one's artifact stays as it is: targets may be reading it."""
    faster = build.make_artifact(one(), Builder(AnyHost(tmp_path)))
    before = (one().artifact_folder / "llama-server").stat().st_ino
    assert build.make_artifact(one(), Builder(AnyHost(tmp_path))) == faster
    assert (one().artifact_folder / "llama-server").stat().st_ino == before
    assert [path.name for path in (cache / "builds").iterdir()] == [one().name]


@pytest.mark.parametrize("connector", [LocalConnector, SSHConnector])
def test_a_source_folder_travels_to_the_builder(cache: Path, tmp_path: Path, connector: type) -> None:
    tree = tmp_path / "my llama"
    (tree / "ggml").mkdir(parents=True)
    (tree / "ggml" / "CMakeLists.txt").write_text("")
    content_hash.cache_clear()
    wanted = Build(source_of({"llama_source": "path", "llama_path": str(tree)}), find_cpu("generic"))
    pinned = Proof(glibc="2.27", instructions={}, version=wanted.pin, ran_on="x")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("deploy.build.proof.prove_programs", lambda _folder, _cpu: pinned)
        build.make_artifact(wanted, Builder(AnyHost(tmp_path, connector)))
    carried = (wanted.artifact_folder / "llama-server").read_text().split(maxsplit=2)[2].strip()
    listing = subprocess.run(["tar", "-tf", carried], capture_output=True, text=True, check=True).stdout
    assert listing == "ggml/CMakeLists.txt\n"
