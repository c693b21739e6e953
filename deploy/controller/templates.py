"""Renders the files of templates/ with values. A value that a template names and nobody gives is an error."""

from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from deploy.paths import REPO

# The options of pyinfra's own files.template, so that a template means the same in both.
ENVIRONMENT = Environment(
    undefined=StrictUndefined, keep_trailing_newline=True, loader=FileSystemLoader(REPO / "templates")
)


def render_template(name: str, **values: Any) -> str:
    """The text of templates/<name>.j2. Raises jinja2.UndefinedError for a value that is not given."""
    return ENVIRONMENT.get_template(f"{name}.j2").render(**values)
