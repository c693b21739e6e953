"""What machine a target is, asked in one round trip; process() is pure."""

from dataclasses import dataclass

from pyinfra.api import FactBase

NEEDED_COMMANDS = ("python3", "curl")


@dataclass(frozen=True)
class BoardInfo:
    """`features`: the words of /proc/cpuinfo; `part`: implementer/part, e.g. 0x41/0xd0b; `lacks`: missing commands;
    `memory`: bytes.
    """

    machine: str = ""
    model: str = ""
    features: frozenset[str] = frozenset()
    part: str | None = None
    lacks: tuple[str, ...] = ()
    systemd: bool = False
    memory: int = 0


class Board(FactBase[BoardInfo]):
    """The machine: BoardInfo(machine="aarch64", model="Raspberry Pi 5 …", features=frozenset({"asimddp", …}), …)."""

    @staticmethod
    def default() -> BoardInfo:
        return BoardInfo()

    def command(self) -> str:
        return (
            "echo machine $(uname -m);"
            " echo model $(tr -d '\\0' 2>/dev/null </proc/device-tree/model);"
            " awk -F': *' '/^Features/ {print \"features \" $2} /^CPU implementer/ {maker = $2}"
            ' /^CPU part/ {print "part " maker "/" $2}\' /proc/cpuinfo | sort -u;'
            f" for name in {' '.join(NEEDED_COMMANDS)}; do command -v $name >/dev/null || echo lacks $name; done;"
            " test ! -d /run/systemd/system || echo systemd yes;"
            " awk '/^MemTotal/ {print \"memory \" $2}' /proc/meminfo"
        )

    def process(self, output: list[str]) -> BoardInfo:
        found: dict[str, list[str]] = {}
        for line in output:
            name, _, value = line.partition(" ")
            found.setdefault(name, []).append(value.strip())
        cores = [frozenset(value.split()) for value in found.get("features", [])]
        return BoardInfo(
            machine="".join(found.get("machine", [])),
            model="".join(found.get("model", [])),
            # A big.LITTLE board may run the server on any core: only what all of them have counts.
            features=frozenset.intersection(*cores) if cores else frozenset(),
            # Of the kinds of cores on a big.LITTLE board, Arm's part numbers grow with the core's size.
            part=max(found.get("part", []), default=None),
            lacks=tuple(found.get("lacks", [])),
            systemd="systemd" in found,
            memory=1024 * int("".join(found.get("memory", [])) or 0),
        )
