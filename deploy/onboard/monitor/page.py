"""The page of a fleet: one table, as HTML that needs nothing but the two files beside it."""

from html import escape

from .fleet import FleetRow, FleetTable, GatewayLine, utc_text

# Nothing runs in the page but the file beside it, and nothing is loaded from elsewhere.
POLICY = "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:"
COLUMNS = tuple(FleetRow("").cells())
NUMBERS = ("tokens/s", "requests", "°C")


def page_text(table: FleetTable, now: float) -> str:
    """index.html. `now`: seconds since 1970."""
    bad = sum(row.state != "up" or bool(row.alerts) for row in table.rows)
    bad += sum(not one.up or bool(one.alerts) for one in table.gateways)
    count = f"{len(table.rows)} board{'s' if len(table.rows) != 1 else ''}"
    said = f"{count}, {f'{bad} to look at' if bad else 'all well'}" if table.rows else "no boards: deploy first"
    problem = f'<p class="problem" role="alert">{escape(table.problem)}</p>' if table.problem else ""
    heads = "".join(
        f'<th scope="col" aria-sort="none"><button type="button">{escape(name)}</button></th>' for name in COLUMNS
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{escape(said)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="fleet.css">
<script src="fleet.js" defer></script>
</head>
<body>
<header><h1>Fleet</h1><p id="said">{escape(said)}</p><p><time>{utc_text(now)}</time> UTC</p>
<label>Show <input id="filter" type="search" placeholder="a name, a model, a release"></label></header>
{problem}
{chr(10).join(map(gateway_text, table.gateways))}
<table>
<thead><tr>{heads}</tr></thead>
<tbody>
{chr(10).join(map(row_text, table.rows))}
</tbody>
</table>
</body>
</html>
"""


def gateway_text(line: GatewayLine) -> str:
    """The paragraph of a gateway."""
    return f'<p class="gateway {"good" if line.up and not line.alerts else "problem"}">{escape(line.said)}</p>'


def row_text(row: FleetRow) -> str:
    """A row of the table. On a narrow screen each cell bears the name of its column."""
    keys, mood = row.sort_keys(), "good" if row.state == "up" and not row.alerts else "bad"
    cells = "".join(cell_text(name, text, keys.get(name)) for name, text in row.cells().items())
    return f'<tr class="{mood if row.up is not None else "unseen"}">{cells}</tr>'


def cell_text(name: str, text: str, key: float | None) -> str:
    """A cell; `key`: what its column is sorted by, where that is a number."""
    sort = "" if key is None else f' data-key="{key:g}"' if key < 1e5 else f' data-key="{key:.0f}"'
    kind = ' class="number"' if name in NUMBERS else ""
    return f'<td data-name="{escape(name)}"{kind}{sort}>{escape(text)}</td>'
