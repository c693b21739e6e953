"""Values that several formats hold, and how a wrong one is told."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deploy.errors import shown
from deploy.onboard.spelling import printable_text

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="SHA-256 in hexadecimal digits.")]


class Frozen(BaseModel):
    """An object of a format. A reader passes over names that it does not know: a later writer may add some."""

    model_config = ConfigDict(frozen=True)


def first_breach(error: ValidationError) -> str:
    """Where the first wrong value is, which rule it breaks, and what was seen."""
    first = error.errors()[0]
    return printable_text(f"{'.'.join(map(str, first['loc']))}: {first['msg']}; seen: {shown(first['input'])}")
