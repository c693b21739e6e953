"""Frames of a terminal as one SVG, which moves by itself in any browser. A line that frames share is in it once."""

from collections.abc import Mapping
from html import escape
from itertools import accumulate

from tests.recordings.terminal import COLUMNS, Frame, Span

WIDTH, HEIGHT, SIZE = 8.4, 18, 14
MARGIN, BAR = 14, 30
BACKGROUND, PLAIN = "#1e2127", "#d7dae0"
COLORS = {
    "default": PLAIN,
    "black": "#7f848e",
    "red": "#e06c75",
    "green": "#98c379",
    "brown": "#e5c07b",
    "yellow": "#e5c07b",
    "blue": "#61afef",
    "magenta": "#c678dd",
    "cyan": "#56b6c2",
    "white": "#ffffff",
}


def picture_of(frames: list[Frame], title: str) -> str:
    """The SVG. Where nothing moves, as in print or for who wants no motion, the last frame stands."""
    lines = {
        line: number for number, line in enumerate(dict.fromkeys(line for f in frames for line in f.lines if line))
    }
    whole = sum(frame.seconds for frame in frames)
    used = max(row for frame in frames for row, line in enumerate(frame.lines, 1) if line)
    wide, high = round(COLUMNS * WIDTH + 2 * MARGIN), used * HEIGHT + MARGIN + BAR
    defined = "\n".join(f'<text id="l{number}">{line_text(line)}</text>' for line, number in lines.items())
    shown = [f'<g class="f" id="f{place}">{frame_uses(frame, lines)}</g>' for place, frame in enumerate(frames)]
    ends = [end / whole * 100 for end in accumulate((frame.seconds for frame in frames), initial=0.0)]
    last = len(frames) - 1
    steps = [frame_style(place, ends[place], ends[place + 1], place == last) for place in range(len(frames))]
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}" role="img">
<title>{escape(title)}</title>
<style>
text {{ font: {SIZE}px "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: {PLAIN}; white-space: pre }}
.f {{ visibility: hidden; animation: {whole:.1f}s step-end infinite }}
#f{last} {{ visibility: visible }}
@media (prefers-reduced-motion: no-preference) {{
{chr(10).join(steps)}
}}
</style>
<defs>
{defined}
</defs>
<rect width="{wide}" height="{high}" rx="8" fill="{BACKGROUND}"/>
<circle cx="18" cy="16" r="5" fill="#e06c75"/>
<circle cx="36" cy="16" r="5" fill="#e5c07b"/>
<circle cx="54" cy="16" r="5" fill="#98c379"/>
<g transform="translate({MARGIN} 0)">
{chr(10).join(shown)}
</g>
</svg>
"""


def frame_uses(frame: Frame, lines: Mapping[tuple[Span, ...], int]) -> str:
    """The lines of a frame, each at its height. `lines`: the number under which each is defined."""
    places = ((line, BAR + row * HEIGHT) for row, line in enumerate(frame.lines, 1) if line)
    return "".join(f'<use href="#l{lines[line]}" y="{height}"/>' for line, height in places)


def frame_style(place: int, begin: float, end: float, is_last: bool) -> str:
    """When a frame is seen, in per cent of the whole."""
    before = "0% { visibility: hidden } " if begin else ""
    after = "" if is_last else f"{end:.3f}% {{ visibility: hidden }} "
    keys = f"{before}{begin:.3f}% {{ visibility: visible }} {after}"
    return f"@keyframes k{place} {{ {keys}}} #f{place} {{ animation-name: k{place} }}"


def line_text(line: tuple[Span, ...]) -> str:
    """A line, each span at its column: fonts differ in width."""
    pieces, column = [], 0
    for span in line:
        style = f' fill="{color_of(span.color)}"' if span.color != "default" else ""
        style += ' font-weight="bold"' if span.bold else ""
        text = span.text.strip()
        if text:
            start = (column + len(span.text) - len(span.text.lstrip())) * WIDTH
            length = f'textLength="{len(text) * WIDTH:.1f}"'
            shown = escape(text).replace(" ", "\u00a0")  # blanks of their width, in any program
            pieces.append(f'<tspan x="{start:.1f}" {length}{style}>{shown}</tspan>')
        column += len(span.text)
    return "".join(pieces)


def color_of(name: str) -> str:
    """A color of a terminal, as it is to be seen on the dark background."""
    return COLORS.get(name.removeprefix("bright"), f"#{name}" if len(name) == 6 else PLAIN)
