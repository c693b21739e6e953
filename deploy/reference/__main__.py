"""`python -m deploy.reference`: writes the parts of docs/ that are made from the code. The rest of each page stays."""

import sys

from deploy.errors import BoardllamaError
from deploy.reference.pages import generated_pages


def write_changed_pages() -> None:
    """Writes every page that differs, and names it. Raises BoardllamaError."""
    for path, text in generated_pages().items():
        if path.read_text() != text:
            path.write_text(text)
            print(f"written: {path}")


if __name__ == "__main__":
    try:
        write_changed_pages()
    except BoardllamaError as error:
        sys.exit(str(error))
