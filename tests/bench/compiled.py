"""llama.cpp's programs for arm64 by recipes that are not ours: the same source, the same CMake and Ninja."""

import os
from dataclasses import dataclass
from pathlib import Path

from deploy.build.artifact import Build
from deploy.build.fetch import FetchError, obtain
from deploy.build.unpack import SourceError, unpack
from deploy.controller.files import sha256_of
from deploy.debian.staging import ensure_folder
from deploy.debian.workspace import Workspace
from deploy.errors import BoardllamaError
from deploy.paths import cache_dir
from tests.bench.roots import GCC, HERE, keyed_folder

# What no contender needs; a build is never tuned for the machine that compiles it.
COMMON = {
    "CMAKE_BUILD_TYPE": "Release",
    "CMAKE_SYSTEM_NAME": "Linux",
    "CMAKE_SYSTEM_PROCESSOR": "aarch64",
    "BUILD_SHARED_LIBS": "ON",
    "GGML_NATIVE": "OFF",
    "GGML_CCACHE": "OFF",
    "LLAMA_OPENSSL": "OFF",
    "LLAMA_BUILD_UI": "OFF",
    "LLAMA_USE_PREBUILT_UI": "OFF",
    "LLAMA_BUILD_TESTS": "OFF",
    "LLAMA_BUILD_EXAMPLES": "OFF",
    "LLAMA_BUILD_APP": "OFF",
    "LLAMA_BUILD_NUMBER": "0",
    "GIT_EXECUTABLE": "/bin/false",
}
TARGETS = ("llama-bench", "llama-server")


@dataclass(frozen=True)
class Recipe:
    """`options`: CMake's, beside COMMON. `wrapper`: a script of this folder that stands for the compilers, or none."""

    name: str
    options: dict[str, str]
    wrapper: str = ""

    def folder(self, build: Build) -> Path:
        """Where the programs are, for the source of that build."""
        script = sha256_of(HERE / self.wrapper) if self.wrapper else ""
        compiler = build.inputs["recipe"]["toolchain.txt"]
        return keyed_folder(
            "builds", [self.name, COMMON | self.options, script, compiler, build.source.content_inputs()]
        )

    def ensure(self, build: Build) -> Path:
        """The folder of programs and libraries, compiled first: 10 minutes on 2 cores. Raises BoardllamaError."""
        return ensure_folder(self.folder(build), "bench", lambda new: self.compile(build, new))

    def compile(self, build: Build, new: Path) -> None:
        """Compiles in a sandbox that holds the pinned GCC, CMake, Ninja and Clang, and nothing of this machine."""
        source, toolchain = ensure_source(build), toolchain_folder(build)
        options = COMMON | self.options | self.compilers(new, toolchain)
        workspace = Workspace(new, "", self.name)
        inside = sandbox(toolchain / "bin")
        words = [f"-D{name}={value}" for name, value in options.items()]
        workspace.run_step(
            "configuring", [*inside, "cmake", "-G", "Ninja", "-S", str(source), "-B", f"{new}/build", *words]
        )
        ninja = ["nice", "-n", "10", *inside, "ninja", "-C", f"{new}/build", "-j", os.environ.get("JOBS") or "2"]
        workspace.run_step("compiling", [*ninja, *TARGETS], deadline=7200)
        for path in sorted((new / "build/bin").iterdir()):
            path.rename(new / "tree" / path.name)

    def compilers(self, new: Path, toolchain: Path) -> dict[str, str]:
        """CMake's options that name the compilers."""
        if not self.wrapper:
            return {"CMAKE_C_COMPILER": "aarch64-linux-gnu-gcc", "CMAKE_CXX_COMPILER": "aarch64-linux-gnu-g++"}
        named = {}
        for tool in ("cc", "c++", "ar", "ranlib"):
            script = new / "compilers" / tool
            script.parent.mkdir(exist_ok=True)
            script.write_text((HERE / self.wrapper).read_text().replace("@ZIG@", f"{toolchain}/bin/zig"))
            script.chmod(0o755)
            named[tool] = str(script)
        languages = {"CMAKE_C_COMPILER": named["cc"], "CMAKE_CXX_COMPILER": named["c++"]}
        return languages | {"CMAKE_AR": named["ar"], "CMAKE_RANLIB": named["ranlib"]}


def sandbox(programs: Path) -> list[str]:
    """The beginning of a command that sees GCC's packages, the cache, and a folder of further programs."""
    tree = GCC.ensure()
    root = ["--tmpfs", "/", "--ro-bind", str(tree / "usr"), "/usr"]
    links = [word for name in ("bin", "lib", "lib64") for word in ("--symlink", f"usr/{name}", f"/{name}")]
    cache = str(cache_dir())
    rest = ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--bind", cache, cache, "--unshare-net"]
    zig = {"PATH": f"{programs}:/usr/bin", "ZIG_GLOBAL_CACHE_DIR": "/tmp/zig", "ZIG_LOCAL_CACHE_DIR": "/tmp/zig"}
    told = [word for name, value in zig.items() for word in ("--setenv", name, value)]
    return ["bwrap", *root, *links, *rest, *told, "--die-with-parent", "--"]


def ensure_source(build: Build) -> Path:
    """The pinned source, unpacked. Raises BoardllamaError."""
    inputs = build.source.content_inputs()

    def bring(new: Path) -> None:
        archive = cache_dir() / "builder" / "source" / build.recipe_variables()["SOURCE_KEY"]
        (new / "tree").rmdir()
        obtain(build.source.for_builder(), archive)
        unpack(archive, new / "tree")

    try:
        return ensure_folder(keyed_folder("source", inputs), "bench", bring)
    except (FetchError, SourceError) as error:
        raise BoardllamaError(str(error)) from None


def toolchain_folder(build: Build) -> Path:
    """Where the recipe of our own builds has put the pinned compiler. Raises BoardllamaError where it is not."""
    name = f"{build.recipe_variables()['TOOLCHAIN']}-{os.uname().machine}"
    folder = cache_dir() / "builder" / "toolchain" / name
    if not (folder / "bin" / "ninja").exists():
        raise BoardllamaError(f"{folder} is not there: `make builds` brings the pinned compilers")
    return folder
