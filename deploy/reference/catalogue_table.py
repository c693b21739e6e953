"""docs/reference/catalogue.md: the models that a setting calls by a name."""

from deploy.models.catalogue.entries import CATALOGUE
from deploy.models.catalogue.table import automatic_line, catalogue_rows, usual_boards
from deploy.models.model import Model
from deploy.reference.tables import markdown_table


def catalogue_table() -> str:
    """What `make models` lists, as a table, with the biggest context that fits each size of memory."""
    boards = usual_boards()
    rows = catalogue_rows(boards, repack=True)
    text = markdown_table(rows[0], ([f"`{row['model']}`", *list(row.values())[1:]] for row in rows))
    return f"{text}\n{automatic_line(boards)}.\n"


def pins_table() -> str:
    """Where each file comes from."""
    rows = [row for model in CATALOGUE.values() for row in pin_rows(model)]
    return markdown_table(("model", "file", "repository and commit", "licence"), rows)


def pin_rows(model: Model) -> list[list[str]]:
    """A row for each file of a model."""
    licence = f"[{model.licence}]({model.page})" if model.page else model.licence
    rows = []
    for file in model.files:
        pin = file.origin.pin
        assert isinstance(pin, dict)
        source = f"{pin['repo']} `{pin['revision'][:12]}`"
        rows.append([f"`{model.name}`", file.name, source, licence])
    return rows
