"""The table at the end of a run: a line for each host, and what to paste to try those again that are not good."""

import glob
import shlex
from collections import Counter
from collections.abc import Sequence

from deploy.fleet.report_row import Row
from deploy.onboard.release.release_table import aligned_lines


def report_lines(rows: Sequence[Row], builders: Sequence[str]) -> list[str]:
    """The table with its headings, a line that counts the verdicts, and the words that try again."""
    counted = ", ".join(f"{count} {word}" for word, count in Counter(row.verdict for row in rows).most_common())
    roles = Counter(role for row in rows for role in row.roles)
    hosts = ", ".join(f"{count} {role}{'s' if count != 1 else ''}" for role, count in roles.items())
    retry = retry_options(rows, builders)
    return [
        *aligned_lines([row.table_cells() for row in rows]),
        f"{hosts}: {counted}",
        *([f"To try again those that are not good: {retry}"] if retry else []),
    ]


def retry_options(rows: Sequence[Row], builders: Sequence[str]) -> str:
    """pyinfra's words for the hosts that are not good, and for the builders that their builds come from."""
    names = [row.host for row in rows if not row.good]
    wanted = [*(name for name in builders if name not in names), *names] if names else []
    # A name of a host is a pattern to pyinfra.
    return " ".join(f"--limit {shlex.quote(glob.escape(name))}" for name in wanted)
