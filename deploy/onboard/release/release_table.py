"""The table of the releases on a target."""

from ..places import Places
from .releases import DamagedManifest, all_releases, lineage, release_state


def release_rows(places: Places) -> list[dict[str, str]]:
    """A row for each release: the current one, those before it, the others. Keys: id, when, build, model, state."""
    order = [release.id for release in lineage(places)]
    rows = []
    for release in sorted(all_releases(places), key=lambda one: order.index(one.id) if one.id in order else len(order)):
        try:
            build = release.stated("build", "name")
            about = {"when": release.stated("created"), "build": build, "model": release.models}
        except DamagedManifest:
            about = {"when": "", "build": "", "model": "its manifest cannot be read"}
        rows.append({"id": release.id, **about, "state": release_state(release)})
    return rows


def aligned_lines(rows: list[dict[str, str]]) -> list[str]:
    """The rows as lines of aligned columns, under a heading of the keys; no line for no row."""
    if not rows:
        return []
    rows = [{name: name for name in rows[0]}, *rows]
    wide = {name: max(len(row[name]) for row in rows) for name in rows[0]}
    return ["  ".join(f"{value:{wide[name]}}" for name, value in row.items()).rstrip() for row in rows]
