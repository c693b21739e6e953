"""Plots of the history as SVG files: the same history gives the same bytes."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from deploy.onboard.files import write_file
from tests.bench.contenders import CONTENDERS, OURS
from tests.bench.history import Record

# Random ids and a date would make other bytes each time, glyphs drawn as paths on each machine.
SAME_BYTES = {"svg.hashsalt": "boardllama", "svg.fonttype": "none"}
COLOURS = dict(zip(CONTENDERS, ("#9a9a9a", "#d1495b", "#edae49", "#00798c", "#2e4057"), strict=True))
PARTS = ("prompt", "generation")
Draw = Callable[[Axes, list[Record], str], None]


def write_plots(records: Mapping[str, Record], folder: Path) -> None:
    """Writes speed.svg, the newest run of each CPU, and history.svg, ours over time; of TinyLlama, if it ran."""
    if not records:
        return
    shape = "tinyllama" if any(record.shape == "tinyllama" for record in records.values()) else "small"
    same = [record for record in records.values() if record.shape == shape]
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in (("speed", draw_speed), ("history", draw_history)):
        write_file(folder / f"{name}.svg", svg_of(draw, same, shape), mode=0o644)


def svg_of(draw: Draw, records: list[Record], shape: str) -> bytes:
    """A picture of two parts, prompt and generation."""
    with rc_context(SAME_BYTES):
        figure = Figure(figsize=(10, 4))
        figure.subplots_adjust(left=0.07, right=0.98, top=0.86, bottom=0.22, wspace=0.2)
        for number, part in enumerate(PARTS, 1):
            axes = figure.add_subplot(1, 2, number)
            draw(axes, records, part)
            axes.set_title(f"{part}, {shape}: CPU seconds a token, emulated")
            axes.set_ylim(bottom=0)
            if axes.get_legend_handles_labels()[0]:
                axes.legend(fontsize="small")
        return svg_bytes(figure)


def svg_bytes(figure: Figure) -> bytes:
    """The picture as a file. Within rc_context(SAME_BYTES) it is the same each time."""
    written = io.BytesIO()
    FigureCanvasSVG(figure).print_svg(written, metadata={"Date": None})
    return b"".join(line.rstrip() + b"\n" for line in written.getvalue().splitlines())


def draw_speed(axes: Axes, records: list[Record], part: str) -> None:
    """A bar for each contender on each CPU, with least and most of its rounds."""
    newest = {cpu: record for record in records for cpu in record.cpus}
    cpus = sorted(newest)
    names = [name for name in CONTENDERS if any(newest[cpu].entry(cpu, name) for cpu in cpus)]
    width = 0.8 / len(names)
    for number, name in enumerate(names):
        for place, cpu in enumerate(cpus):
            if not (entry := newest[cpu].entry(cpu, name)):
                continue
            values = entry.figures[part]
            middle = median(values)
            spread = [[middle - min(values)], [max(values) - middle]]
            label = name if cpu == next(one for one in cpus if newest[one].entry(one, name)) else None
            axes.bar(place + number * width, middle, width, yerr=spread, color=COLOURS[name], label=label)
    axes.set_xticks([place + 0.4 - width / 2 for place in range(len(cpus))], cpus)


def draw_history(axes: Axes, records: list[Record], part: str) -> None:
    """A line for ours on each CPU, from run to run."""
    runs = [f"{record.date[:10]}\n{record.commit[:7]}" for record in records]
    for name in OURS:
        for cpu in sorted({cpu for record in records for cpu in record.cpus}):
            found = [
                (place, entry.figures[part])
                for place, record in enumerate(records)
                if (entry := record.entry(cpu, name))
            ]
            if found:
                places, values = zip(*found, strict=True)
                axes.plot(places, [median(one) for one in values], marker="o", label=f"{name} {cpu}")
    axes.set_xticks(range(len(runs)), runs, fontsize="small")
