"""What no image may hold: found by name and by content, and named."""

import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from deploy.errors import BoardllamaError
from deploy.image.leaks import OVERLAP, PIECE, Traces, find_leaks, refuse_leaks

NOBODY = Traces((), ())
SHADOW = b"root:*:20000:0:99999:7:::\nboard:!:20000::::::\n"


def tree(folder: Path, files: dict[str, bytes]) -> Path:
    """A tar file of a root tree."""
    path = folder / "root.tar"
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(content)
            tar.addfile(member, BytesIO(content))
    return path


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("etc/ssh/ssh_host_rsa_key.pub", b"", "an SSH host key"),
        ("etc/machine-id", b"0123456789abcdef0123456789abcdef\n", "the id of one machine"),
        ("var/lib/systemd/random-seed", b"1234", "a random seed"),
        ("etc/ollama-cpp/api-key", b"", "an API key"),
        ("root/.bash_history", b"", "a history"),
        ("home/board/.ssh/authorized_keys", b"ssh-ed25519 AAAA", "somebody's key"),
        ("var/cache/apt/pkgcache.bin", b"x", "a package list or cache"),
        ("var/lib/apt/lists/deb_main_Packages", b"x", "a package list or cache"),
        ("var/log/dpkg.log", b"x", "a log"),
        ("var/lib/dhcp/dhclient.leases", b"", "a DHCP lease"),
        ("tmp/left", b"", "of one run"),
        ("etc/resolv.conf", b"nameserver 192.0.2.1\n", "the controller's name servers"),
        ("etc/.resolv.conf.systemd-resolved.bak", b"nameserver 192.0.2.1\n", "the controller's name servers"),
        ("etc/shadow", b"root:$y$j9T$x:20000::::::\n", "root has a password"),
        ("etc/shadow", b"board::20000::::::\n", "board has a password"),
        ("opt/deploy.key", b"# mine\n-----BEGIN OPENSSH PRIVATE KEY-----\n", "it holds a private key"),
        ("opt/deploy.json", b'{"key": "-----BEGIN RSA PRIVATE KEY-----\\n"}', "it holds a private key"),
        ("srv/mine.asc", b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n", "it holds a private key"),
        ("srv/mine.ppk", b"PuTTY-User-Key-File-3: ssh-ed25519\n", "it holds a private key"),
        ("root/.netrc", b"machine hub.example password x\n", "somebody's login"),
        ("root/.cache/huggingface/token", b"hf_x", "somebody's login"),
        ("etc/default/llama", b"export LLAMA_API_KEY=sk-1\n", "it holds a secret"),
        ("etc/systemd/system/x.service", b'[Service]\nEnvironment="LLAMA_API_KEY=sk-1"\n', "it holds a secret"),
        ("etc/x.json", b'{"server": {"apiKey": "sk-1"}}', "it holds a secret"),
        ("etc/wpa_supplicant/x.conf", b"network={\n  psk=secret\n}\n", "it holds a secret"),
    ],
)
def test_it_is_found_and_named(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    with pytest.raises(BoardllamaError, match=f"/{name}: {why}"):
        refuse_leaks([tree(tmp_path, {name: content})], NOBODY)


def test_a_link_to_a_path_of_the_controller_is_found(tmp_path: Path) -> None:
    path = tree(tmp_path, {})
    with tarfile.open(path, "a") as tar:
        member = tarfile.TarInfo("./usr/lib/x")
        member.type, member.linkname = tarfile.SYMTYPE, "/srv/made/here/x"
        tar.addfile(member)
    with pytest.raises(BoardllamaError, match="/usr/lib/x: it leads to /srv/made/here/x"):
        refuse_leaks([path], Traces(("/srv/made/here",), ()))


@pytest.mark.parametrize(
    "mirror", ["https://mirror.example/debian", "deb https://mirror.example/debian trixie main non-free-firmware"]
)
def test_the_mirror_is_searched_for_in_whatever_form_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mirror: str
) -> None:
    monkeypatch.setenv("BOARDLLAMA_MIRROR", mirror)
    assert "mirror.example" in Traces.of_this_controller(tmp_path).names


def test_a_clean_tree_passes(tmp_path: Path) -> None:
    """Empty ones, locked passwords, the program of ssh itself."""
    clean = tree(
        tmp_path,
        {
            "etc/machine-id": b"",
            "etc/shadow": SHADOW,
            "var/log/wtmp": b"",
            "etc/x.conf": b"# api_key = sk-1\nkeypsk = x\napi_key = $KEY\nLLAMA_API_KEY_FILE=/etc/ollama-cpp/api-key\n",
            "usr/bin/ssh": b"\x7fELF\0-----BEGIN OPENSSH PRIVATE KEY-----",
            "usr/lib/systemd/systemd-random-seed.sh": b"",
        },
    )
    refuse_leaks([clean], NOBODY)


def test_the_controllers_paths_are_found_everywhere_and_its_name_as_a_word_of_a_text(tmp_path: Path) -> None:
    traces = Traces(("/srv/made/here",), ("kiln",))
    files = {
        "etc/made": b"built on kiln.\n",
        "etc/other": b"kilns and bekiln are not it, kiln-2 neither\n",
        "usr/bin/program": b"\x7fELF\0 kiln /srv/made/here/main.c",
        "usr/share/kiln/x": b"",
    }
    found = [line.split(":")[0] for line in find_leaks(tree(tmp_path, files), traces)]
    assert found == ["/etc/made", "/usr/bin/program", "/usr/share/kiln/x"]


def test_a_host_name_may_be_a_word_of_debians_files_and_of_no_other(tmp_path: Path) -> None:
    """A controller may be called kitchen."""
    said = b"a kitchen, and /srv/made/here\n"
    names = ("lib/python3/recipes.py", "var/lib/dpkg/status", "etc/group", "etc/motd")
    files = {"var/lib/dpkg/info/python3.list": b"/.\n/lib/python3\n/lib/python3/recipes.py\n"}
    files |= {("usr/" if name.startswith("lib/") else "") + name: said for name in names}
    found = list(find_leaks(tree(tmp_path, files), Traces((), ("kitchen",))))
    assert found == ["/etc/motd: it holds kitchen"]
    assert len(list(find_leaks(tree(tmp_path, files), Traces(("/srv/made/here",), ("kitchen",))))) == 4


def test_nothing_hides_where_a_large_file_is_cut(tmp_path: Path) -> None:
    """It is read in pieces."""
    content = b"x" * (PIECE - 5) + b"/srv/made/here" + b"x" * OVERLAP
    (found,) = find_leaks(tree(tmp_path, {"usr/large": content}), Traces(("/srv/made/here",), ()))
    assert found == "/usr/large: it holds /srv/made/here"


def test_a_host_name_that_every_image_holds_tells_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, told in (("debian", False), ("kiln-of-mine", True)):
        monkeypatch.setattr("socket.gethostname", lambda name=name: name)
        monkeypatch.setattr("socket.getfqdn", lambda name=name: name)
        assert (name in Traces.of_this_controller(tmp_path / "work" / "new").names) is told


def test_many_finds_are_counted(tmp_path: Path) -> None:
    with pytest.raises(BoardllamaError, match=r"and 2 more$"):
        refuse_leaks([tree(tmp_path, {f"tmp/{number}": b"" for number in range(12)})], NOBODY)


def test_a_name_that_is_not_utf8_is_judged_as_any_other(tmp_path: Path) -> None:
    good = tree(tmp_path, {"srv/name-\udcff": b"x"})
    refuse_leaks([good], NOBODY)
    with pytest.raises(BoardllamaError, match="it holds a private key"):
        refuse_leaks([tree(tmp_path, {"srv/name-\udcff": b"-----BEGIN RSA PRIVATE KEY-----"})], NOBODY)
