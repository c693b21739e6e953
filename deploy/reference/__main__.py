"""`python -m deploy.reference`: writes what docs/ has from the code: parts of pages, schemas, dashboards."""

import sys

from deploy.errors import BoardllamaError
from deploy.reference.dashboards import dashboard_files
from deploy.reference.pages import generated_pages
from deploy.reference.schemas import schema_files


def write_changed_pages() -> None:
    """Writes every file that differs, and names it. Raises BoardllamaError."""
    for path, text in {**generated_pages(), **schema_files(), **dashboard_files()}.items():
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            print(f"written: {path}")


if __name__ == "__main__":
    try:
        write_changed_pages()
    except BoardllamaError as error:
        sys.exit(str(error))
