"""The licences of what a build links and of the web UI that it holds, as one text: deploy/build/licences.txt.

`python -m deploy.reference.licences` writes it from the sources of the default build that this builder has compiled:
the text belongs to the pin, and tests/build says when it no longer does. A board has it as licences.txt in
/usr/lib/boardllama/current.

Of the web UI the packages count that its sources import, with all that these need; the bundler may have left some of
them out. glibc is not here: programs load the board's own. Only its start-up code is linked.
"""

import io
import re
import sys
import tarfile
import textwrap
from base64 import b64decode
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from deploy.build.artifact import LICENCES, Build
from deploy.build.source import source_of
from deploy.cpu import CPUS
from deploy.errors import BoardllamaError
from deploy.onboard.json_parts import parse_json
from deploy.paths import cache_dir
from deploy.reference.default_comments import explained_settings

HEAD = """\
boardllama (MIT) brings llama.cpp, the libraries that are linked into its programs, and a web UI that is part of
llama-server. Their licences follow. Those of the models: "licences" among the pins of manifest.json beside this file.
Those of Debian's packages: /usr/share/doc/*/copyright, and /usr/share/common-licenses.
"""
# What is linked, and the file of the source or of the toolchain that has its licence: all of it, or a comment in it.
LINKED = {
    "llama.cpp": "src/LICENSE",
    "cpp-httplib": "src/vendor/cpp-httplib/LICENSE",
    "JSON for Modern C++": "src/licenses/LICENSE-jsonhpp",
    "miniaudio": "src/vendor/miniaudio/miniaudio.h",
    "stb_image": "src/vendor/stb/stb_image.h",
    "subprocess.h": "src/vendor/sheredom/subprocess.h",
    "base64.hpp": "src/common/base64.hpp",
    "SHA-256": "src/vendor/hash/sha256/LICENSE",
    "rotate-bits": "src/vendor/hash/rotate-bits/LICENSE.md",
    "xxHash": "src/vendor/hash/xxhash/LICENSE",
    "tinyBLAS of llamafile": "src/ggml/src/ggml-cpu/llamafile/sgemm.cpp",
    "Zig's compiler-rt": "zig/LICENSE",
    "LLVM libc++": "zig/lib/libcxx/LICENSE.TXT",
    "LLVM libc++abi": "zig/lib/libcxxabi/LICENSE.TXT",
    "LLVM libunwind": "zig/lib/libunwind/LICENSE.TXT",
    "start-up code of glibc": "zig/lib/libc/glibc/sysdeps/aarch64/start-2.33.S",
}
IN_A_COMMENT = re.compile(r"/\*[\s\S]*?\*/|(?:^//.*\n)+", re.M)
NOTICE = re.compile(r"\W*(copyright\b.*(\d{4}|\(c\)|\u00a9).*|(©|\(c\)) \d.*)", re.I)
# Where the text of a licence begins, whatever title stands above it.
BEGINNING = re.compile(
    r"(permission is hereby granted, free|permission to use, copy|redistribution and use in|apache license\W+version 2|"
    r"this is free and unencumbered|mozilla public license|this software is available as a choice|"
    r"this file is part of the gnu c library).*",
    re.I | re.S,
)
# What bundles the web UI, and is not in it.
BUNDLERS = re.compile(r"(@?vite|@?vitest|@?storybook|@?babel|@?rollup|esbuild|playwright|workbox-build)\b.*")
# What the bundler adds by itself: the service worker of the web UI.
ADDED = ("workbox-precaching", "workbox-routing", "workbox-strategies")
LICENCE_FILE = re.compile(r"package/(licen[cs]e|copying|notice)[^/]*", re.I)
RULE = "~" * 78
KINDS = (".ts", ".js", ".svelte", ".css")
IMPORTED = re.compile(r"""(?:from|import)\s*\(?['"](?:virtual:)?((?:@[\w.-]+/)?[a-z][\w.-]*)""")


class Licence(NamedTuple):
    """Of a thing: who holds the rights, a line each, and the text without these lines."""

    notices: tuple[str, ...]
    text: str


def licence_of(said: str) -> Licence:
    """The notices and the text of a licence."""
    lines = [line.strip(" \t*/") for line in said.splitlines()]
    notices = tuple(line for line in lines if NOTICE.fullmatch(line))
    paragraphs = "\n".join(line for line in lines if not NOTICE.fullmatch(line)).split("\n\n")
    return Licence(
        notices, "\n\n".join(textwrap.fill(" ".join(part.split()), 120) for part in paragraphs if part.strip())
    )


def linked_licences(folders: dict[str, Path]) -> Iterator[tuple[str, Licence]]:
    """Of each thing that is linked. Raises BoardllamaError for a file without a licence in it."""
    for name, place in LINKED.items():
        root, _, path = place.partition("/")
        said = (folders[root] / path).read_text(errors="replace")
        if not re.fullmatch(r"LICENSE.*|COPYING.*", Path(path).name):
            said = next((part for part in IN_A_COMMENT.findall(said) if BEGINNING.search(part)), "")
        if not said:
            raise BoardllamaError(f"{folders[root] / path} holds no licence: name the file in LINKED that does")
        yield name, licence_of(said)


def same_text(licence: Licence) -> str:
    """What two copies of a licence have in common: not their titles, line ends and quotation marks."""
    text = BEGINNING.search(licence.text)
    return re.sub(r"\W+", "", (text[0] if text else licence.text).lower())


def packages_of_ui(ui: Path) -> dict[str, dict[str, Any]]:
    """The npm packages that the sources of the web UI import, and all that these need, by their paths in the lock."""
    lock: dict[str, dict[str, Any]] = parse_json((ui / "package-lock.json").read_text())["packages"]
    sources = [path for path in (ui / "src").rglob("*") if path.suffix in KINDS and path.is_file()]
    names = {name for path in sources for name in IMPORTED.findall(path.read_text())}
    todo = [place for name in sorted({*names, *ADDED}) if (place := address_of(lock, "", name))]
    found: dict[str, dict[str, Any]] = {}
    while todo:
        path = todo.pop()
        if path not in found:
            found[path] = lock[path]
            todo += [place for name in lock[path].get("dependencies", {}) if (place := address_of(lock, path, name))]
    return dict(sorted(found.items()))


def address_of(lock: dict[str, Any], path: str, name: str) -> str:
    """Where a package finds another one: in a folder of its own, or in one further up; "" where it is not in the UI."""
    if name.startswith("@types/") or BUNDLERS.fullmatch(name):
        return ""
    while path:
        if (place := f"{path}/node_modules/{name}") in lock:
            return place
        path = path.rpartition("/node_modules/")[0]
    return f"node_modules/{name}" if f"node_modules/{name}" in lock else ""


def ui_licences(ui: Path, npm: Path) -> Iterator[tuple[str, Licence]]:
    """Of each npm package in the web UI, from npm's cache; where it holds no text, the name of the licence."""
    for path, package in packages_of_ui(ui).items():
        name = path.rpartition("node_modules/")[2]
        kind, _, digest = package["integrity"].partition("-")
        place = b64decode(digest).hex()
        archive = npm / "_cacache/content-v2" / kind / place[:2] / place[2:4] / place[4:]
        said = licence_in_package(archive.read_bytes()) or f"Licence: {package.get('license', 'not said')}"
        yield f"{name} {package['version']} (web UI)", licence_of(said)


def licence_in_package(content: bytes) -> str:
    """The licence files of an npm package, a .tgz; "" where it has none."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        members = [member for member in archive if member.isfile() and LICENCE_FILE.fullmatch(member.name)]
        files = [archive.extractfile(member) for member in members]
        return "\n\n".join(file.read().decode(errors="replace") for file in files if file)


def licences_text(builder: Path, build: Build) -> str:
    """The text for a build that the builder with that cache has compiled. Raises BoardllamaError, OSError."""
    source = builder / "work" / build.objects_key / "src"
    zig = next(builder.glob("toolchain/*/lib/ziglang"), builder)
    things = [*linked_licences({"src": source, "zig": zig}), *ui_licences(source / "tools/ui", builder / "npm")]
    whose: dict[str, list[str]] = defaultdict(list)
    texts: dict[str, str] = {}
    for name, licence in things:
        text = texts.setdefault(same_text(licence), licence.text)
        whose[text].append(", ".join([name, *dict.fromkeys(licence.notices)]))
    parts = ["\n".join([*names, "", text]) for text, names in whose.items()]
    return "\n\n".join([HEAD.rstrip(), *(f"{RULE}\n{part}" for part in parts)]) + "\n"


if __name__ == "__main__":
    pins = {setting.name: setting.default for setting in explained_settings()}
    try:
        LICENCES.write_text(licences_text(cache_dir() / "builder", Build(source_of(pins), CPUS["generic"])))
    except (BoardllamaError, OSError) as error:
        sys.exit(str(error))
