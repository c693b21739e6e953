"""What an image must never hold, searched for in the finished root by name and by content. Any find ends the build."""

import os
import re
import socket
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from deploy.errors import BoardllamaError
from deploy.onboard.service import SERVICES
from deploy.paths import PACKAGE, REPO, cache_dir

# A larger file is searched in pieces that overlap by so much, so that nothing hides at a border.
PIECE, OVERLAP = 1 << 24, 4096
PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY( BLOCK)?-----|PuTTY-User-Key-File")
# A name and its value as JSON, units, shells and configurations write them; what stands in a comment is no secret.
SECRET = re.compile(
    rb"""^[^#\n]*(?<![^\W_])(psk|wifi_password|api_?key|hf_token)["']?\s*[=:]\s*["']?[^\s"'$%]""",
    re.MULTILINE | re.IGNORECASE,
)


# What Debian's tools make of what the packages brought.
DEBIANS_OWN = (
    *("var/lib/dpkg/*", "var/cache/debconf/*", "usr/lib/modules/*", "*/__pycache__/*", "usr/share/info/dir"),
    *("etc/passwd", "etc/group", "etc/shadow", "etc/gshadow"),  # a controller may be called backup, or mail
)
OURS = (PACKAGE / "image", PACKAGE / "onboard", REPO / "templates")


@dataclass(frozen=True)
class LeakRule:
    """`why`: what a file is whose path matches a pattern. Empty files are judged only where `empty` is true."""

    why: str
    patterns: tuple[str, ...]
    empty: bool = False


KEYS = tuple(f"{str(service.api_key).lstrip('/')}*" for service in SERVICES)
RULES = (
    LeakRule("an SSH host key, which the first boot makes", ("etc/ssh/ssh_host_*",), empty=True),
    LeakRule("somebody's key", ("*/.ssh/*",), empty=True),
    LeakRule("the id of one machine", ("etc/machine-id", "var/lib/dbus/machine-id")),
    LeakRule("a random seed", ("var/lib/systemd/random-seed", "boot/*random-seed", "var/lib/urandom/*")),
    LeakRule("an API key, which the first boot makes", KEYS, empty=True),
    LeakRule("somebody's login", ("*/.netrc", "*/.git-credentials", "etc/apt/auth.conf*", "*/huggingface/token")),
    LeakRule("a history", ("*/.*_history", "*/.lesshst", "*/.viminfo", "*/.wget-hsts"), empty=True),
    LeakRule("a package list or cache", ("var/lib/apt/lists/*", "var/cache/apt/*", "var/cache/ldconfig/*")),
    LeakRule("a log", ("var/log/*",)),
    LeakRule("a DHCP lease", ("var/lib/dhcp/*", "var/lib/systemd/network/*", "var/lib/NetworkManager/*"), empty=True),
    LeakRule("the controller's name servers", ("etc/*resolv.conf*", "etc/resolvconf/*")),
    LeakRule("of one run", ("run/*", "tmp/*", "var/tmp/*"), empty=True),
    LeakRule("a note about inodes of the controller", ("*/.*.receipt",), empty=True),
    LeakRule(
        "a proxy of the controller", ("etc/apt/apt.conf.d/*proxy*", "etc/apt/apt.conf.d/99mmdebstrap"), empty=True
    ),
)


@dataclass(frozen=True)
class JudgedFile:
    """A path of a tree, without a slash before it. `link`: where a symbolic link leads. `size`: of a regular file.

    `pieces` gives a file's bytes; each piece begins with the last OVERLAP bytes of the piece before.
    """

    name: str
    link: str = ""
    size: int | None = None
    pieces: Callable[[], Iterator[bytes]] = lambda: iter(())


def refuse_leaks(trees: Iterable[Path], traces: "Traces") -> None:
    """Raises BoardllamaError that names the files of the tar files which break a rule, and the rule."""
    refuse_findings([line for tree in trees for line in find_leaks(tree, traces)])


def refuse_findings(found: Sequence[str]) -> None:
    """Raises BoardllamaError with the first findings, each "/path: what is wrong"."""
    if found:
        more = f" and {len(found) - 10} more" if len(found) > 10 else ""
        raise BoardllamaError(f"this image would hold what no image may: {'; '.join(found[:10])}{more}")


def find_leaks(tree: Path, traces: "Traces") -> Iterator[str]:
    """Each breach of a rule by a file of the tar file, as "/path: what is wrong"."""
    with tarfile.open(tree) as tar:
        debian = packaged_files(tar)
        for member in tar:
            link, size = member.linkname if member.issym() else "", member.size if member.isfile() else None
            pieces = partial(overlapping_pieces, tar, member)
            yield from judge_path(JudgedFile(member.name.removeprefix("./"), link, size, pieces), debian, traces)


def judge_path(file: JudgedFile, debian: frozenset[str], traces: "Traces") -> Iterator[str]:
    """Each breach of a rule by one path, as "/path: what is wrong". `debian`: the paths that packages brought."""
    of_debian = file.name in debian or any(fnmatchcase(file.name, pattern) for pattern in DEBIANS_OWN)
    known = traces.without_names() if of_debian else traces
    if known.in_text(os.fsencode(file.name)):
        yield f"/{file.name}: its name is one of the controller's"
    if file.link and known.in_text(os.fsencode(file.link)):
        yield f"/{file.name}: it leads to {file.link}, which is the controller's"
    if file.size is not None:
        yield from judge_file(file.name, file.size, file.pieces(), known)


def packaged_files(tar: tarfile.TarFile) -> frozenset[str]:
    """Paths of the files that Debian's packages brought. The controller's host name may be a word in one of them."""
    names = set()
    for member in tar:
        if fnmatchcase(member.name, "./var/lib/dpkg/info/*.list"):
            names |= {line.lstrip("/") for line in b"".join(overlapping_pieces(tar, member)).decode().splitlines()}
    # The lists name files by their old paths, which lead below /usr through links.
    return frozenset(names | {f"usr/{name}" for name in names if name.startswith(("bin/", "sbin/", "lib/"))})


def overlapping_pieces(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[bytes]:
    """A file's bytes, piece by piece; each piece begins with the last OVERLAP bytes of the piece before."""
    file = tar.extractfile(member)
    assert file
    yield from overlapping(file)


def overlapping(file: IO[bytes]) -> Iterator[bytes]:
    """As overlapping_pieces, of an open file."""
    last = b""
    while piece := file.read(PIECE):
        yield last + piece
        last = piece[-OVERLAP:]


def judge_file(name: str, size: int, content: Iterator[bytes], traces: "Traces") -> Iterator[str]:
    """Each breach of a rule by one file of `size` bytes, as find_leaks says it."""
    for rule in RULES:
        if (size or rule.empty) and any(fnmatchcase(name, pattern) for pattern in rule.patterns):
            yield f"/{name}: {rule.why}"
    text = None
    for piece in content:
        text = b"\0" not in piece[:8192] if text is None else text
        yield from (f"/{name}: {why}" for why in judge_content(name, piece, text, traces))


def judge_content(name: str, content: bytes, text: bool, traces: "Traces") -> Iterator[str]:
    """What is wrong with some bytes of a file. `text`: whether the file is a text, else it is a program."""
    if text and PRIVATE_KEY.search(content):
        yield "it holds a private key"
    if text and name.startswith("etc/") and SECRET.search(content):
        yield "it holds a secret"
    if name == "etc/shadow" and (users := users_with_password(content)):
        yield f"{', '.join(users)} has a password"
    if trace := traces.in_text(content) if text else traces.in_program(content):
        yield f"it holds {trace}"


def users_with_password(shadow: bytes) -> list[str]:
    """Users of /etc/shadow whose password is not locked. An empty password counts: it lets anybody in."""
    rows = [line.split(":") for line in shadow.decode().splitlines()]
    return [row[0] for row in rows if not row[1].startswith(("!", "*"))]


def whole_word(name: str) -> bytes:
    """The regular expression for a name that is not part of a longer word."""
    return rb"(?<![\w-])" + re.escape(name.encode()) + rb"(?![\w-])"


@dataclass(frozen=True)
class Traces:
    """The `paths` and `names` that would tell on which controller an image was made."""

    paths: tuple[str, ...]
    names: tuple[str, ...]

    @staticmethod
    def of_this_controller(work: Path) -> "Traces":
        """Its folders, host name and mirror. A name that our own files hold tells nothing: every image has it."""
        said = b"".join(path.read_bytes() for folder in OURS for path in sorted(folder.rglob("*")) if path.is_file())
        home = Path.home()
        paths = [str(path) for path in (PACKAGE.parent, cache_dir(), work) if len(path.parts) > 2]
        paths += [f"{home}/"] if home != Path("/root") else []
        mirrors = {urlsplit(word).hostname or "" for word in os.environ.get("BOARDLLAMA_MIRROR", "").split()}
        names = {socket.gethostname(), socket.getfqdn(), *mirrors} - {"localhost"}
        return Traces(
            tuple(paths), tuple(name for name in names if len(name) > 3 and not re.search(whole_word(name), said))
        )

    def without_names(self) -> "Traces":
        return Traces(self.paths, ())

    def in_program(self, content: bytes) -> str | None:
        """The first of the paths that these bytes hold."""
        return next((path for path in self.paths if path.encode() in content), None)

    def in_text(self, content: bytes) -> str | None:
        """The first path that these bytes hold or, as a whole word, the first name."""
        names = (name for name in self.names if re.search(whole_word(name), content))
        return self.in_program(content) or next(names, None)
