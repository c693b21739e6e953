"""Guest instructions by function, from what count.c wrote.

`python -m tests.bench.counts COUNTS [BEFORE]` prints a table. With BEFORE, the counts of a shorter run of the same
program, it prints the difference. Functions are found by the symbol tables of the programs and libraries that ran: in a
program without symbols all code is one function, named as its file.
"""

import sys
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from deploy.errors import BoardllamaError


@dataclass(frozen=True)
class Mapping:
    """A part of a file in the memory of the guest: addresses from `start` to before `end`, from byte `offset` on."""

    start: int
    end: int
    offset: int
    file: Path


@dataclass(frozen=True)
class Counts:
    """`blocks`: executions of a block of code, by its address and its instructions. `mappings`: by their start."""

    total: int
    blocks: Counter[tuple[int, int]]
    mappings: list[Mapping]

    def without(self, other: "Counts") -> "Counts":
        """What was executed beside what a shorter run of the same program executed, which mapped the same files."""
        blocks = Counter(self.blocks)
        blocks.subtract(other.blocks)
        return Counts(
            self.total - other.total, Counter({block: n for block, n in blocks.items() if n > 0}), self.mappings
        )

    def mapping_at(self, address: int) -> Mapping | None:
        """The mapping that holds an address of the guest."""
        at = bisect_right(self.mappings, address, key=lambda mapping: mapping.start) - 1
        return self.mappings[at] if at >= 0 and address < self.mappings[at].end else None

    def code(self, begin: int, end: int) -> bytes:
        """The bytes of the code at these addresses. Empty where they come from no file."""
        mapping = self.mapping_at(begin)
        if mapping is None or not mapping.file.is_file():
            return b""
        with mapping.file.open("rb") as file:
            file.seek(begin - mapping.start + mapping.offset)
            return file.read(end - begin)

    def by_function(self) -> Counter[str]:
        """Executed instructions of each function."""
        found: Counter[str] = Counter()
        for (address, instructions), executions in self.blocks.items():
            mapping = self.mapping_at(address)
            found[function_at(mapping, address) if mapping else "no file"] += instructions * executions
        return found


def read_counts(file: Path) -> Counts:
    """Raises BoardllamaError for a file that is not whole: the program was killed before it came to its end."""
    total, blocks, mappings = None, Counter[tuple[int, int]](), []
    for line in file.read_text(errors="replace").splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "block":
            address, instructions, executions = rest.split()
            blocks[int(address, 16), int(instructions)] += int(executions)
        elif kind == "map":
            addresses, _, offset, _, _, path = rest.split(maxsplit=5)
            start, _, end = addresses.partition("-")
            mappings.append(Mapping(int(start, 16), int(end, 16), int(offset, 16), Path(path)))
        elif kind == "total":
            total = int(rest)
    if not total:
        raise BoardllamaError(
            f"{file} has no line `total`: the program was ended before QEMU wrote its counts; run again"
        )
    return Counts(total, blocks, sorted(mappings, key=lambda mapping: mapping.start))


def function_at(mapping: Mapping, address: int) -> str:
    """The function that holds an address of the guest."""
    symbols = Symbols.of_file(mapping.file)
    offset = address - mapping.start + mapping.offset
    return symbols.name_at(symbols.virtual_address(offset)) or mapping.file.name


@dataclass(frozen=True)
class Symbols:
    """The functions of a program or library, by their virtual addresses; `segments`: offset, address and size."""

    addresses: list[int]
    ends: list[int]
    names: list[str]
    segments: list[tuple[int, int, int]]

    @staticmethod
    @lru_cache
    def of_file(path: Path) -> "Symbols":
        with path.open("rb") as file:
            elf = ELFFile(file)
            segments = [(part["p_offset"], part["p_vaddr"], part["p_filesz"]) for part in elf.iter_segments("PT_LOAD")]
            tables = [part for part in elf.iter_sections() if isinstance(part, SymbolTableSection)]
            found = {
                symbol["st_value"]: (symbol["st_size"], symbol.name)
                for table in tables
                for symbol in table.iter_symbols()
                if symbol["st_info"]["type"] == "STT_FUNC" and symbol["st_value"]
            }
        addresses = sorted(found)
        ends = [address + found[address][0] for address in addresses]
        return Symbols(addresses, ends, [found[address][1] for address in addresses], segments)

    def virtual_address(self, offset: int) -> int:
        """The virtual address of a byte of the file. Two segments may share a page of it, but no byte."""
        for begin, address, size in self.segments:
            if begin <= offset < begin + size:
                return address + offset - begin
        return offset

    def name_at(self, address: int) -> str:
        """Empty where no function is known."""
        at = bisect_right(self.addresses, address) - 1
        return self.names[at] if at >= 0 and address < self.ends[at] else ""


def main(words: list[str]) -> None:
    counts = read_counts(Path(words[0])).by_function()
    if len(words) > 1:
        counts.subtract(read_counts(Path(words[1])).by_function())
    total = sum(counts.values())
    print(f"{total:>16,}  100.0 %  total")
    for name, executed in counts.most_common(40):
        print(f"{executed:>16,}  {executed / total:>5.1%}  {name}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (BoardllamaError, OSError) as error:
        sys.exit(f"bench: {error}")
