"""The bill of materials: SPDX 2.3, made by distro2sbom from what dpkg knows, with our release added."""

import hashlib
import json
import sys
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from deploy.debian.workspace import SOURCE_DATE_EPOCH, Workspace
from deploy.models.catalogue.entries import FREE, catalogue_licence
from deploy.onboard.json_parts import parse_json

UNKNOWN, OWN_LICENCE = "NOASSERTION", "LicenseRef-"
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
    for package in document["packages"]:  # distro2sbom writes the word of SPDX's other form, OPERATING-SYSTEM
        package["primaryPackagePurpose"] = package["primaryPackagePurpose"].replace("-", "_")
    packages = release_packages(release)
    for package in packages:
        document["packages"].append(package)
        document["relationships"].append(contains_relationship(document["packages"][0]["SPDXID"], package["SPDXID"]))
    if licences := own_licences(packages):
        document["hasExtractedLicensingInfos"] = licences
    # distro2sbom dates a document by the clock, and puts a random id into its namespace.
    document["creationInfo"]["created"] = CREATED
    del document["documentNamespace"]
    name = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    document["documentNamespace"] = f"https://spdx.org/spdxdocs/boardllama-{board}-{name}"
    return f"{json.dumps(document, indent=1, sort_keys=True)}\n".encode()


def release_packages(release: dict[str, Any]) -> list[dict[str, Any]]:
    """llama.cpp and the model's files in a release's manifest, as SPDX packages; fewer where the release has fewer.

    llama.cpp is under MIT, by its file LICENSE; a model under what its entry of the catalogue says.
    """
    found = []
    if build := release.get("build"):
        source = json.dumps(release["pins"]["llama.cpp"])
        found.append(spdx_package("llama.cpp", build["build_info"], "APPLICATION", source, "MIT"))
    model = release.get("model") or {"files": []}
    for number, file in enumerate(model.get("files", [model])):
        licence = spdx_licence(catalogue_licence(file["sha256"]))
        entry = spdx_package(file["name"], file["sha256"], "FILE", json.dumps(release["pins"]["model"]), licence)
        own = {"SPDXID": f"{entry['SPDXID']}-{number}"} if number else {}
        found.append({**entry, **own, "checksums": [{"algorithm": "SHA256", "checksumValue": file["sha256"]}]})
    return found


def spdx_licence(licence: str) -> str:
    """A licence as SPDX writes it: a name with blanks is none of SPDX's own."""
    if not licence:
        return UNKNOWN
    return licence if licence in FREE else f"{OWN_LICENCE}{licence.replace(' ', '-')}"


def own_licences(packages: list[dict[str, Any]]) -> list[dict[str, str]]:
    """What SPDX wants to be told of licences that it has no name for."""
    names = sorted({package["licenseDeclared"] for package in packages})
    return [
        {"licenseId": name, "name": name.removeprefix(OWN_LICENCE), "extractedText": "See the publisher's page."}
        for name in names
        if name.startswith(OWN_LICENCE)
    ]


def spdx_package(name: str, version: str, purpose: str, source: str, licence: str) -> dict[str, Any]:
    """An SPDX package for a thing that is not Debian's. `purpose`: SPDX's word, APPLICATION or FILE (a model)."""
    unknown = dict.fromkeys(("downloadLocation", "licenseConcluded", "copyrightText"), UNKNOWN)
    return {
        "SPDXID": f"SPDXRef-boardllama-{'model' if purpose == 'FILE' else name}",
        "name": name,
        "versionInfo": version,
        "primaryPackagePurpose": purpose,
        "filesAnalyzed": False,
        "sourceInfo": source,
        "licenseDeclared": licence,
        **unknown,
    }


def contains_relationship(whole: str, part: str) -> dict[str, str]:
    """The SPDX relationship between the ids of a whole and of its part."""
    return {"spdxElementId": whole, "relationshipType": "CONTAINS", "relatedSpdxElement": part}
