"""The bill of materials: SPDX 2.3, made by distro2sbom from what dpkg knows, with our release added."""

import hashlib
import json
import sys
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from deploy.debian.workspace import SOURCE_DATE_EPOCH, Workspace
from deploy.onboard.json_parts import parse_json

PROGRAM = Path(sys.executable).with_name("distro2sbom")
CREATED = datetime.fromtimestamp(SOURCE_DATE_EPOCH, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class SystemName:
    """ID and VERSION_ID of a system, as os-release(5) has them."""

    name: str = "debian"
    version: str = "13"


def make_sbom(workspace: Workspace, root: Path, board: str, release: dict[str, Any], system: SystemName) -> bytes:
    """SPDX JSON of the packages in `root`, a folder with dpkg's status file, and of `release`, a release's manifest.

    The same root and release give the same bytes. Raises BoardllamaError.
    """
    made = workspace.folder / "distro.spdx.json"
    what = ["--distro", "deb", "--name", system.name, "--release", system.version, "--root", str(root), "--system"]
    workspace.run_step(
        "bill of materials", [str(PROGRAM), *what, "--sbom", "spdx", "--format", "json", "-o", str(made)]
    )
    document = parse_json(made.read_text())
    document["name"] = f"boardllama-{board}"
    for package in release_packages(release):
        document["packages"].append(package)
        document["relationships"].append(contains_relationship(document["packages"][0]["SPDXID"], package["SPDXID"]))
    # distro2sbom dates a document by the clock, and puts a random id into its namespace.
    document["creationInfo"]["created"] = CREATED
    del document["documentNamespace"]
    name = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    document["documentNamespace"] = f"https://spdx.org/spdxdocs/boardllama-{board}-{name}"
    return f"{json.dumps(document, indent=1, sort_keys=True)}\n".encode()


def release_packages(release: dict[str, Any]) -> list[dict[str, Any]]:
    """llama.cpp and the model's files in a release's manifest, as SPDX packages; fewer where the release has fewer."""
    found = []
    if build := release.get("build"):
        found.append(
            spdx_package("llama.cpp", build["build_info"], "APPLICATION", json.dumps(release["pins"]["llama.cpp"]))
        )
    model = release.get("model") or {"files": []}
    for number, file in enumerate(model.get("files", [model])):
        entry = spdx_package(file["name"], file["sha256"], "DATA", json.dumps(release["pins"]["model"]))
        own = {"SPDXID": f"{entry['SPDXID']}-{number}"} if number else {}
        found.append({**entry, **own, "checksums": [{"algorithm": "SHA256", "checksumValue": file["sha256"]}]})
    return found


def spdx_package(name: str, version: str, purpose: str, source: str) -> dict[str, Any]:
    """An SPDX package for a thing that is not Debian's. `purpose`: SPDX's word, APPLICATION or DATA (a model)."""
    unknown = dict.fromkeys(("downloadLocation", "licenseConcluded", "licenseDeclared", "copyrightText"), "NOASSERTION")
    return {
        "SPDXID": f"SPDXRef-boardllama-{'model' if purpose == 'DATA' else name}",
        "name": name,
        "versionInfo": version,
        "primaryPackagePurpose": purpose,
        "filesAnalyzed": False,
        "sourceInfo": source,
        **unknown,
    }


def contains_relationship(whole: str, part: str) -> dict[str, str]:
    """The SPDX relationship between the ids of a whole and of its part."""
    return {"spdxElementId": whole, "relationshipType": "CONTAINS", "relatedSpdxElement": part}
