"""Records of measurements under docs/: a file of JSON each, which is never changed afterwards."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from deploy.errors import BoardllamaError
from deploy.onboard.files import write_file

R = TypeVar("R", bound=BaseModel)


def read_record_file(file: Path, kind: type[R]) -> R:
    """Raises BoardllamaError for a file that is no record of that kind."""
    try:
        return kind.model_validate_json(file.read_bytes())
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise BoardllamaError(
            f"{file.name} is no record of a run ({where}: {problem['msg']}); restore it from git"
        ) from None


def write_record_file(file: Path, record: BaseModel) -> None:
    """Writes a new record, in a folder that is made where it is missing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_file(file, (record.model_dump_json(indent=1) + "\n").encode())
