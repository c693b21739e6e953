"""How the recipe speaks and dies: short lines for people, bytes to the log, and no compiler without a listener."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from deploy.build.artifact import HERE, RECIPE


def script(tmp_path: Path, body: str) -> list[str]:
    path = tmp_path / "job.sh"
    path.write_text(f'set -u\nCPU=generic LOG="{tmp_path}/log"\n. "{HERE}/steps.sh"\n{body}\n')
    return ["sh", str(path)]


def run(tmp_path: Path, body: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(script(tmp_path, body), capture_output=True, check=False, timeout=30)


def alive(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_for(condition: "object", seconds: float = 15) -> bool:
    assert callable(condition)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_ccache_is_told_nothing_that_it_would_replace(tmp_path: Path) -> None:
    """ccache 4.11 takes $WORK in a value for a variable of its own environment."""
    ccache = tmp_path / "ccache"
    ccache.write_text("#!/bin/sh\n")
    ccache.chmod(0o755)
    recipe = (HERE / "recipe.sh").read_text()
    functions = [recipe[recipe.index(f"\n{name}() {{") :].partition("\n}\n")[0] for name in ("zig_flags", "use_ccache")]
    told = "TOOLCHAIN=t1 GLIBC=2.31 PATH=$PWD:$PATH; use_ccache; env | grep ^CCACHE_"
    script = "\n}\n".join([*functions, told])
    done = subprocess.run(["sh", "-euc", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "CCACHE_COMPILERCHECK=string:t1 -target aarch64-linux-gnu.2.31" in done.stdout
    assert "$" not in done.stdout


def test_a_step_says_its_name_and_its_output_goes_to_the_log(tmp_path: Path) -> None:
    done = run(tmp_path, "step compiling echo '[3/9] Building'; say end")
    assert done.stdout == b"generic: compiling\ngeneric: end\n"
    assert (tmp_path / "log").read_text() == "[3/9] Building\n"


def test_a_failed_step_ends_all_in_one_line_with_the_telling_words(tmp_path: Path) -> None:
    noise = "printf '[7/9] Building\\nx.cpp:3: error: unknown type\\nninja: build stopped\\n'; exit 3"
    done = run(tmp_path, f'step compiling sh -c "{noise}"; say never')
    last = done.stdout.decode().splitlines()[-1]
    assert done.returncode == 1
    assert last == f"FAILED compiling (log: {tmp_path}/log): x.cpp:3: error: unknown type"


def test_without_telling_words_the_last_line_is_shown(tmp_path: Path) -> None:
    done = run(tmp_path, "step fetching sh -c 'echo one; echo two; exit 1'")
    assert done.stdout.decode().splitlines()[-1].endswith("): two")


def test_bytes_that_are_no_text_never_reach_the_reader(tmp_path: Path) -> None:
    done = run(tmp_path, "step compiling sh -c \"printf '\\\\377\\\\376 error: \\\\303( bad\\\\n'; exit 1\"")
    assert done.stdout.decode("ascii").splitlines()[-1].endswith(" error: ( bad")


def test_the_compile_step_counts(tmp_path: Path) -> None:
    done = run(
        tmp_path, 'STEP=compiling; printf \'[134/412] Building\\n\' >"$LOG.step"; say "$(progress), $(spent 125)"'
    )
    assert done.stdout == b"generic: 134 of 412 compiled, 2 min 5 s\n"


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_compiler_too(tmp_path: Path, end: signal.Signals) -> None:
    pids = tmp_path / "pids"
    body = f"step compiling sh -c 'sleep 60 & echo $$ $! >{pids}; wait'"
    with subprocess.Popen(script(tmp_path, body), stdout=subprocess.DEVNULL) as recipe:
        assert wait_for(lambda: pids.exists() and len(pids.read_text().split()) == 2)
        recipe.send_signal(end)
        assert recipe.wait(10) == 130
    assert wait_for(lambda: not any(alive(int(pid)) for pid in pids.read_text().split()))


def test_when_the_controller_is_gone_the_compiler_ends(tmp_path: Path) -> None:
    """Nobody reads the progress lines any more: the next one, at most 10 s later, stops the build."""
    pids = tmp_path / "pids"
    body = f"sleep() {{ command sleep 0.001; }}; step compiling sh -c 'sleep 60 & echo $$ $! >{pids}; wait'"
    reader, writer = os.pipe()
    with subprocess.Popen(script(tmp_path, body), stdout=writer) as recipe:
        os.close(writer)
        assert wait_for(lambda: pids.exists() and len(pids.read_text().split()) == 2)
        os.close(reader)
        assert recipe.wait(15) == 130
    assert wait_for(lambda: not any(alive(int(pid)) for pid in pids.read_text().split()))


BESIDE = "web_ui() {{ step 'the web UI' sh -c '{}'; }}; beside web_ui; step compiling sh -c '{}'; await_beside; say end"


def test_what_runs_beside_is_in_the_log_afterwards(tmp_path: Path) -> None:
    done = run(tmp_path, BESIDE.format("echo pages", "echo objects"))
    assert sorted(done.stdout.splitlines()[:-1]) == [b"generic: compiling", b"generic: the web UI"]
    assert done.stdout.endswith(b"generic: end\n")
    assert (tmp_path / "log").read_text() == "objects\npages\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["job.sh", "log", "log.step"]


@pytest.mark.parametrize(
    ("web_ui", "compiler", "said"),
    [
        ("echo error: no registry; exit 1", "sleep 60", "FAILED the web UI (log: {}/log.beside): error: no registry"),
        ("sleep 60", "sleep 0.5; echo error: no type; exit 1", "FAILED compiling (log: {}/log): error: no type"),
    ],
)
def test_of_two_steps_beside_each_other_the_one_that_fails_ends_both(
    tmp_path: Path, web_ui: str, compiler: str, said: str
) -> None:
    done = run(tmp_path, BESIDE.format(web_ui, compiler))
    assert done.returncode != 0
    assert done.stdout.decode().splitlines()[-1] == said.format(tmp_path)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_the_end_of_the_recipe_ends_what_runs_beside(tmp_path: Path, end: signal.Signals) -> None:
    pids = tmp_path / "pids"
    noted = f"echo $$ >>{pids}; exec sleep 60"
    with subprocess.Popen(script(tmp_path, BESIDE.format(noted, noted)), stdout=subprocess.DEVNULL) as recipe:
        assert wait_for(lambda: pids.exists() and len(pids.read_text().split()) == 2)
        recipe.send_signal(end)
        recipe.wait(10)
    assert wait_for(lambda: not any(alive(int(pid)) for pid in pids.read_text().split()))


def recipe(tmp_path: Path, **stubs: str) -> subprocess.CompletedProcess[str]:
    """The whole recipe in an empty cache, with stand-ins for the named programs in front of the real ones."""
    job = tmp_path / "cache" / "jobs" / "generic-0"
    job.mkdir(parents=True)
    for name in RECIPE:
        (job / Path(name).name).write_bytes((HERE / name).read_bytes())
    (job / "job.sh").write_text("NAME=generic-0 CPU=generic BASE=b TOOLCHAIN=t SOURCE_KEY=s PIN=p GLIBC=2.28\n")
    for name, body in stubs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["sh", str(job / "recipe.sh"), str(job)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)


def test_a_builder_without_room_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    done = recipe(tmp_path, df="echo head; echo /dev/sda1 9999999 9 102400 99% /")
    assert done.returncode == 1
    assert done.stdout.endswith(f"100 MB are free in {tmp_path}/cache, a build needs 3000 MB\n")
    assert list((tmp_path / "cache" / "source").iterdir()) == []


def test_a_builder_without_venv_is_told_the_package(tmp_path: Path) -> None:
    done = recipe(tmp_path, python3="exit 1")
    assert done.returncode == 1
    assert "apt-get install python3-venv" in done.stdout
    assert done.stdout.count("\n") == 1
