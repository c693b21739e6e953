"""The rooms of deploy/ as a drawing: docs/explanation/rooms.svg, which needs no program in the reader's browser."""

from collections import defaultdict
from html import escape

from deploy.reference.rooms import Uses, plain_uses, room_uses, rooms_in_order

BOX, GAP, ROW, MARGIN = 138, 22, 78, 20
HIGH = 34  # of a box
STYLE = """\
<style>
rect { fill: #f6f8fa; stroke: #57606a; rx: 5px }
text { font: 13px "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #24292f; text-anchor: middle }
path { fill: none; stroke: #8c959f; stroke-width: 1.2; marker-end: url(#tip) }
</style>
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<path d="M1 1 L7 4 L1 7" style="marker-end: none"/></marker></defs>"""


def rooms_drawing() -> str:
    """An SVG: a row for each height, an arrow for each use that does not follow from others. All arrows lead down."""
    plain = plain_uses(room_uses())
    places, wide, high = room_places(plain)
    boxes = [box(room, *places[room]) for room in places]
    arrows = [arrow(places[room], places[used]) for room in places for used in sorted(plain[room])]
    size = f'viewBox="0 0 {wide} {high}" width="{wide}" height="{high}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    back = f'<path d="M0 0 H{wide} V{high} H0 Z" style="fill: #ffffff; stroke: none; marker-end: none"/>'
    return "\n".join([head, "<title>Which room imports which</title>", STYLE, back, *arrows, *boxes, "</svg>", ""])


def room_places(plain: Uses) -> tuple[dict[str, tuple[float, float]], int, int]:
    """The middle of each room's upper edge, and the size of the drawing."""
    levels = room_levels(plain)
    rows: dict[int, list[str]] = defaultdict(list)
    for room in rooms_in_order(plain):
        rows[levels[room]].append(room)
    wide = 2 * MARGIN + max(len(row) for row in rows.values()) * (BOX + GAP) - GAP
    places: dict[str, tuple[float, float]] = {}
    for level, row in sorted(rows.items()):
        row.sort(key=lambda room: (middle_of_users(room, plain, places, wide), room))
        left = (wide - len(row) * (BOX + GAP) + GAP) / 2
        places |= {room: (left + place * (BOX + GAP) + BOX / 2, MARGIN + level * ROW) for place, room in enumerate(row)}
    return places, wide, 2 * MARGIN + max(rows) * ROW + HIGH


def room_levels(plain: Uses) -> dict[str, int]:
    """How many rooms lie above each, on the longest way."""
    levels: dict[str, int] = {}
    for room in rooms_in_order(plain):
        above = [levels[user] for user in levels if room in plain[user]]
        levels[room] = max(above, default=-1) + 1
    return levels


def middle_of_users(room: str, plain: Uses, places: dict[str, tuple[float, float]], wide: int) -> float:
    """Where the rooms stand that use it: below them its arrows are short."""
    above = [places[user][0] for user in places if room in plain[user]]
    return sum(above) / len(above) if above else wide / 2


def box(room: str, middle: float, top: float) -> str:
    """A room with its name."""
    return (
        f'<rect x="{middle - BOX / 2:.0f}" y="{top:.0f}" width="{BOX}" height="{HIGH}"/>'
        f'<text x="{middle:.0f}" y="{top + 22:.0f}">{escape(room)}</text>'
    )


def arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    """From the lower edge of one box to the upper edge of another."""
    (x, y), (to_x, to_y) = (start[0], start[1] + HIGH), (end[0], end[1] - 1)
    bend = (to_y - y) / 2
    return f'<path d="M{x:.0f} {y:.0f} C{x:.0f} {y + bend:.0f} {to_x:.0f} {to_y - bend:.0f} {to_x:.0f} {to_y:.0f}"/>'
