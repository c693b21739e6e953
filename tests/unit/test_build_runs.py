"""Builds under the real pyinfra."""

import json
import os
import subprocess
import sys
from pathlib import Path

from deploy.build.artifact import Build, Manifest
from deploy.cpu import find_cpu
from deploy.paths import REPO
from tests.unit.test_build import SOURCE, approve

DEPLOY = """
import sys; sys.path.insert(0, {repo!r})
from deploy.build.artifact import Build
from deploy.cpu import find_cpu
from deploy.stages.build import llama_builds
from deploy.build.source import ArchiveSource
source = ArchiveSource(kind="archive", url={url!r}, sha256="ab" * 32)
llama_builds([Build(source, find_cpu(name)) for name in ("generic", "cortex-a72")])
"""


def pyinfra(folder: Path, url: str) -> subprocess.CompletedProcess[str]:
    (folder / "inventory.py").write_text('builders = ["@local"]\n')
    (folder / "story.py").write_text(DEPLOY.format(repo=str(REPO), url=url))
    return subprocess.run(
        [Path(sys.executable).with_name("pyinfra"), "-y", "inventory.py", "story.py"],
        cwd=folder, env=os.environ | {"BOARDLLAMA_CACHE": str(folder / "cache")},
        capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip


def test_with_a_wrong_hash_nothing_is_unpacked_and_the_other_builds_still_run(tmp_path: Path) -> None:
    """The real recipe under the real pyinfra: each build says its one line."""
    archive = tmp_path / "llama.tar.gz"
    archive.write_bytes(b"anything")
    done = pyinfra(tmp_path, archive.as_uri())
    for cpu in ("generic", "cortex-a72"):
        assert f"{cpu}: fetching the source (log: " in done.stderr
    assert "pinned is abab" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("cache/builder/work/*/src"))


def test_unchanged_inputs_are_no_change_and_start_nothing(tmp_path: Path) -> None:
    for cpu in ("generic", "cortex-a72"):
        wanted = Build(SOURCE.model_copy(update={"url": "file:///nowhere"}), find_cpu(cpu))
        folder = tmp_path / "cache" / "builds" / wanted.name
        folder.mkdir(parents=True)
        manifest = Manifest(
            name=wanted.name, key=wanted.key, inputs={}, build_info="", files={}, proof=approve(folder, wanted.cpu)
        )
        (folder / "manifest.json").write_text(json.dumps(manifest.model_dump()))
    done = pyinfra(tmp_path, "file:///nowhere")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("No changes") == 1, "one operation for all of them"
    assert not (tmp_path / "cache" / "builder").exists()
