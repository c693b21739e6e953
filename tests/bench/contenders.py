"""What is compared: each way to get llama.cpp for a board, by pins, and where its programs lie then."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from deploy.build.artifact import Build, is_there
from deploy.errors import BoardllamaError, NotThere
from deploy.paths import REPO, cache_dir
from tests.bench.compiled import Recipe
from tests.bench.roots import GCC, HERE, ensure_pinned_root
from tests.build.builds import pyinfra, wanted

# A core -> the build that a board with such a core gets.
BUILDS = {
    "cortex-a53": "cortex-a53",
    "cortex-a55": "cortex-a55",
    "cortex-a72": "cortex-a72",
    "cortex-a76": "cortex-a76",
    "neoverse-n1": "neoverse-n1",
    "max": "armv8.6-i8mm",
}
# QEMU's -cpu. Version 7.2 has no A55.
CPUS = ("cortex-a53", "cortex-a72", "cortex-a76", "neoverse-n1", "max")
CROSS_LIBRARIES = "usr/aarch64-linux-gnu"
TUNED = REPO / "docs" / "explanation" / "benchmarks" / "tuned.json"
# What a run says itself: CPU seconds of several threads have in them how threads wait.
SHARED = {
    "-m",
    "-t",
    "-p",
    "-n",
    "-r",
    "-d",
    "--model",
    "--threads",
    "--n-prompt",
    "--n-gen",
    "--repetitions",
    "--n-depth",
}


@dataclass(frozen=True)
class Installed:
    """A contender's programs for a CPU.

    `programs`: the folder of llama-bench and llama-server; `root`: where QEMU looks for the libraries of the target.
    `pieces`: what llama-server needs of llama.cpp, as patterns below `folder`. `arguments`: of llama-bench, beside
    those that all contenders get.
    """

    programs: Path
    root: Path
    folder: Path
    pieces: tuple[str, ...]
    arguments: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of llama-server, of what it loads of llama.cpp, and of nothing else."""
        found = {path for piece in self.pieces for path in self.folder.glob(piece) if not path.is_symlink()}
        return sum(path.stat().st_size for path in found)


@dataclass(frozen=True)
class Contender:
    """`title`: what it is, for people. `install` makes it for a core of BUILDS, from pins alone.

    `install` raises NotThere, with the reason, where this contender cannot be; BoardllamaError where making it fails.
    """

    name: str
    title: str
    install: Callable[[str], Installed]


REFERENCE = Recipe("reference", {})
VARIANTS = Recipe(
    "variants",
    {"GGML_BACKEND_DL": "ON", "GGML_CPU_ALL_VARIANTS": "ON", "GGML_OPENMP": "OFF"},
    wrapper="zig.sh",
)


def source_build() -> Build:
    """The build whose source and toolchain all recipes share."""
    return wanted("generic")


def install_recipe(recipe: Recipe) -> Installed:
    """What a recipe makes of the pinned source."""
    folder = recipe.ensure(source_build())
    return Installed(folder, GCC.ensure() / CROSS_LIBRARIES, folder, ("llama-server", "lib*.so*"))


def install_variants() -> Installed:
    """Upstream's variants by our compiler. Raises NotThere where the compiler does not make all of them."""
    try:
        return install_recipe(VARIANTS)
    except BoardllamaError as error:
        raise NotThere(f"our compiler does not make all of upstream's variants: {error}") from None


def install_debian(cpu: str) -> Installed:
    """Debian's packages, which choose their kernels when they start."""
    tree = ensure_pinned_root(HERE / "debian.txt")
    libraries = "usr/lib/aarch64-linux-gnu"
    pieces = ("lib*llama*.so*", "libggml*.so*", "libmtmd*.so*", "ggml/*/*", "llama/libllama-server-impl.so")
    return Installed(
        tree / "usr/bin", tree, tree, ("usr/bin/llama-server", *(f"{libraries}/{piece}" for piece in pieces))
    )


def install_boardllama(cpu: str) -> Installed:
    """Our own build for that CPU, made first as a deploy makes it."""
    build = wanted(BUILDS[cpu])
    if not is_there(build):
        story = cache_dir() / "bench" / "story"
        story.mkdir(parents=True, exist_ok=True)
        pyinfra(story, build.cpu.name)
    folder = build.artifact_folder
    return Installed(folder, GCC.ensure() / CROSS_LIBRARIES, folder, ("llama-server",))


def install_tuned(cpu: str) -> Installed:
    """Our own build with the arguments of llama-bench that tuned.json has for that CPU. Raises NotThere."""
    return replace(install_boardllama(cpu), arguments=tuned_arguments(cpu))


def tuned_arguments(cpu: str, file: Path = TUNED) -> tuple[str, ...]:
    """Raises NotThere for a CPU that is not tuned, BoardllamaError for arguments that every contender has."""
    if not file.exists():
        raise NotThere(f"nothing is tuned: docs/explanation/benchmarks/{file.name} is not there")
    arguments = tuple(json.loads(file.read_text()).get(cpu, ()))
    if not arguments:
        raise NotThere(f"{file.name} has nothing for this CPU")
    if said := sorted(SHARED.intersection(arguments)):
        raise BoardllamaError(f"{file.name}, {cpu}: {said[0]} is the same for all contenders; take it out")
    return arguments


_TABLE = (
    Contender(
        "reference", "the same source by GCC 12, no CPU flags, shared libraries", lambda cpu: install_recipe(REFERENCE)
    ),
    Contender("debian", "Debian forky's packages, kernels chosen at run time", install_debian),
    Contender(
        "variants", "the same source and our compiler, kernels chosen at run time", lambda cpu: install_variants()
    ),
    Contender("boardllama", "as deployed: our compiler, the kernels of the CPU", install_boardllama),
    Contender("tuned", "the same with what tuning found", install_tuned),
)
CONTENDERS = {contender.name: contender for contender in _TABLE}
OURS = ("boardllama", "tuned")


@cache
def installed(name: str, cpu: str) -> Installed:
    """A contender's programs for a CPU, made once. Raises NotThere, BoardllamaError."""
    return CONTENDERS[name].install(cpu)
