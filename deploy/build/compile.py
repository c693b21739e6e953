"""On the builder: a pinned source becomes llama-server and its tools for one Cpu, proven before anything uses them."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from pathlib import Path

from deploy.build.artifact import HERE, MANIFEST, RECIPE, Build, FileEntry, Manifest, is_there, require_artifact
from deploy.build.builder import Builder
from deploy.controller.files import sha256_of, sync
from deploy.errors import BoardllamaError
from deploy.onboard.places import PROGRAMS

__all__ = ["Build", "Manifest", "is_there", "make_artifact", "require_artifact"]


def make_artifact(build: Build, builder: Builder) -> Manifest:
    """Compiles on the builder, brings the result here, proves it, and only then gives it its name.

    Raises BoardllamaError: the step that failed, the log and its last telling lines; or the rule that a binary breaks.
    """
    made = builder.run_job(build.name, job_files(build), build.source)
    fresh = build.artifact_folder.with_name(f".new-{build.name}-{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        builder.bring_files(made, [*PROGRAMS, "SHA256SUMS"], fresh)
        for name in PROGRAMS:
            (fresh / name).chmod(0o755)  # neither a copy nor SFTP carries modes, and the proof runs the server
        _complete_folder(fresh, _prove_artifact(build, fresh))
        _settle_artifact(fresh, build)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return require_artifact(build)


def _prove_artifact(build: Build, folder: Path) -> Manifest:
    files = {name: FileEntry(sha256=sha256_of(folder / name), size=(folder / name).stat().st_size) for name in PROGRAMS}
    said = (folder / "SHA256SUMS").read_text().splitlines()
    changed = [name for name, entry in files.items() if f"{entry.sha256}  {name}" not in said]
    if changed:
        raise BoardllamaError(f"{', '.join(changed)} arrived with other bytes than the builder wrote; run again")
    # Its disassembler takes a tenth of a second of every run, builds or not.
    from deploy.build.proof import prove_programs

    proof = prove_programs(folder, build.cpu)
    if build.build_info.removeprefix("b0-") not in proof.version:
        raise BoardllamaError(f"llama-server --version says {proof.version!r}, which is not the pin {build.pin}")
    return Manifest(
        name=build.name, key=build.key, inputs=build.inputs, build_info=build.build_info, files=files, proof=proof
    )


def _complete_folder(fresh: Path, manifest: Manifest) -> None:
    """Writes the manifest, removes what is not kept, and flushes the folder to the disk."""
    (fresh / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n")
    (fresh / "SHA256SUMS").unlink()
    for path in (*fresh.iterdir(), fresh):
        sync(path)


def _settle_artifact(fresh: Path, build: Build) -> None:
    """Gives the folder its name, unless another run has finished the same build meanwhile.

    A power cut at any moment leaves no artifact or a whole one.
    """
    if is_there(build):
        return
    broken = fresh.with_name(f"{fresh.name}-broken")
    if build.artifact_folder.exists():
        build.artifact_folder.rename(broken)
        shutil.rmtree(broken, ignore_errors=True)
    try:
        fresh.rename(build.artifact_folder)
    except OSError:
        if not is_there(build):
            raise
    sync(build.artifact_folder.parent)


# Fetches on the builder (python, git, npm, pip) trust what the hub client trusts here (deploy/models/hub/client.py).
TRUST = """\
authorities=${JOB:-$1}/authorities.pem
for file in "${SSL_CERT_FILE:-}" "${REQUESTS_CA_BUNDLE:-}" "${CURL_CA_BUNDLE:-}"; do
    if [ -f "$file" ]; then cat "$file"; fi
done >"$authorities"
if [ -s "$authorities" ]; then
    SSL_CERT_FILE=$authorities GIT_SSL_CAINFO=$authorities NODE_EXTRA_CA_CERTS=$authorities PIP_CERT=$authorities
    export SSL_CERT_FILE GIT_SSL_CAINFO NODE_EXTRA_CA_CERTS PIP_CERT
fi
"""


def job_files(build: Build) -> dict[str, bytes]:
    """What recipe.sh finds in its job folder, by file name."""
    files = {Path(name).name: (HERE / name).read_bytes() for name in RECIPE}
    files["source.json"] = json.dumps(build.source.for_builder()).encode()
    told = "".join(f"{name}={shlex.quote(value)}\n" for name, value in build.recipe_variables().items())
    files["job.sh"] = f"{told}{TRUST}".encode()
    return files
