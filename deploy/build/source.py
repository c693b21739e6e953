"""Where llama.cpp's source comes from: four kinds, each pinned by what its content is, never by where it lies."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from deploy.errors import BoardllamaError, shown
from deploy.paths import user_path
from deploy.setting_rules import COMMIT, GIT_URL, RULES, SHA256, URL

Url = Annotated[str, Field(pattern=f"^({URL})$")]
GitUrl = Annotated[str, Field(pattern=f"^({GIT_URL})$")]
Sha256 = Annotated[str, Field(pattern=f"^{SHA256}$")]
Commit = Annotated[str, Field(pattern=f"^{COMMIT}$")]

# What is no part of the source in a working copy: history, and what building leaves behind.
_NOT_SOURCE = frozenset({".git", "build", "node_modules", "__pycache__", ".svelte-kit"})


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PypiSource(_Frozen):
    """The source distribution of llama-cpp-python, which carries a whole llama.cpp at `commit`."""

    kind: Literal["pypi"]
    version: str
    url: Url
    sha256: Sha256
    commit: Commit

    @property
    def pin(self) -> str:
        return self.commit

    def content_inputs(self) -> dict[str, str]:
        """What decides the content. The address does not: a package index may serve the same file from elsewhere."""
        return {"kind": self.kind, "sha256": self.sha256, "commit": self.commit}

    def for_builder(self) -> dict[str, str]:
        """What deploy/build/fetch.py needs to know."""
        return {"kind": self.kind, "project": "llama-cpp-python", "url": self.url, "sha256": self.sha256}


class GitSource(_Frozen):
    """One commit of a git repository."""

    kind: Literal["git"]
    url: GitUrl
    commit: Commit

    @property
    def pin(self) -> str:
        return self.commit

    def content_inputs(self) -> dict[str, str]:
        """What decides the content."""
        return {"kind": self.kind, "commit": self.commit}

    def for_builder(self) -> dict[str, str]:
        """What deploy/build/fetch.py needs to know."""
        return {"kind": self.kind, "url": self.url, "commit": self.commit}


class ArchiveSource(_Frozen):
    """A .tar, .tar.gz, .tar.bz2 or .tar.xz file that holds llama.cpp."""

    kind: Literal["archive"]
    url: Url
    sha256: Sha256

    @property
    def pin(self) -> str:
        return self.sha256

    def content_inputs(self) -> dict[str, str]:
        """What decides the content."""
        return {"kind": self.kind, "sha256": self.sha256}

    def for_builder(self) -> dict[str, str]:
        """What deploy/build/fetch.py needs to know."""
        return {"kind": self.kind, "url": self.url, "sha256": self.sha256}


class PathSource(_Frozen):
    """A folder on the controller. Read once per run; any edit in the folder makes another build."""

    kind: Literal["path"]
    path: Path

    @property
    def pin(self) -> str:
        return content_hash(self.path)

    def content_inputs(self) -> dict[str, str]:
        """What decides the content."""
        return {"kind": self.kind, "content": content_hash(self.path)}

    def for_builder(self) -> dict[str, str]:
        """The folder travels as a tar that the controller makes: there is nothing left to fetch."""
        return {"kind": self.kind}


Source = PypiSource | GitSource | ArchiveSource | PathSource
_SOURCE: TypeAdapter[Source] = TypeAdapter(Annotated[Source, Field(discriminator="kind")])

# Kind -> field of the kind -> flat setting name that it is read from.
_FIELDS = {
    "pypi": {
        "version": "llama_pypi_version",
        "url": "llama_pypi_url",
        "sha256": "llama_pypi_sha256",
        "commit": "llama_commit",
    },
    "git": {"url": "llama_git_url", "commit": "llama_commit"},
    "archive": {"url": "llama_archive_url", "sha256": "llama_archive_sha256"},
    "path": {"path": "llama_path"},
}


def source_kinds() -> str:
    """The values of llama_source, as a message lists them."""
    return ", ".join(_FIELDS)


def source_of(settings: Mapping[str, Any]) -> Source:
    """The source that the flat settings choose. Raises BoardllamaError that names the setting and its rule."""
    kind = settings["llama_source"]
    if kind not in _FIELDS:
        raise BoardllamaError(f"llama_source is {shown(kind)}: must be one of {source_kinds()}")
    names = _FIELDS[kind]
    values = {field: settings[name] for field, name in names.items()}
    if kind == "path":
        values["path"] = _source_folder(str(values["path"]))
    try:
        return _SOURCE.validate_python({"kind": kind, **values})
    except ValidationError as error:
        raise BoardllamaError("; ".join(_problem_sentence(problem, names) for problem in error.errors())) from None


def _problem_sentence(problem: Any, names: Mapping[str, str]) -> str:
    setting = names[str(problem["loc"][-1])]
    return f"{setting} is {shown(problem['input'])}: must be {RULES[setting].text}"


def _source_folder(text: str) -> Path:
    """The llama.cpp folder at that path. Raises BoardllamaError for any other, and for a file that cannot be read."""
    folder = user_path("llama_path", text)
    try:
        if not text or not (folder / "ggml" / "CMakeLists.txt").is_file():
            rule = "must be a llama.cpp folder (no ggml/CMakeLists.txt in it)"
            raise BoardllamaError(f"llama_path is {shown(text)}: {rule}")
        content_hash(folder.resolve())
    except OSError as error:
        what = f"{error.filename} cannot be read ({error.strerror})"
        raise BoardllamaError(f"llama_path is {shown(text)}: {what}: give yourself the right to read it") from None
    return folder.resolve()


def tree_files(root: Path) -> Iterator[Path]:
    """Every file and link below root that is source, in an order that depends on names only."""
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        linked = [name for name in folders if (here / name).is_symlink()]
        folders[:] = sorted(name for name in folders if name not in _NOT_SOURCE and name not in linked)
        yield from (here / name for name in sorted([*files, *linked]) if name not in _NOT_SOURCE)


@lru_cache
def content_hash(root: Path) -> str:
    """64 hexadecimal digits over names, executable bits, link targets and bytes; once per process and folder."""
    digest = hashlib.sha256()
    for path in tree_files(root):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            digest.update(f"link {name}\0{path.readlink()}\0".encode())
        elif path.is_file():
            body = hashlib.sha256(path.read_bytes()).hexdigest()
            mode = "x" if os.access(path, os.X_OK) else "-"
            digest.update(f"file {name}\0{mode}{body}\0".encode())
    return digest.hexdigest()
