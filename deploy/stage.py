"""A stage of the deploy: pyinfra's @deploy, with our errors shown as pyinfra shows its own, in one line."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from pyinfra.api import DeployError
from pyinfra.api.arguments_typed import PyinfraOperation
from pyinfra.api.deploy import deploy

from deploy.errors import BoardllamaError

P = ParamSpec("P")


def one_line_errors(function: Callable[P, None]) -> Callable[P, None]:
    """Turns BoardllamaError into DeployError, which the pyinfra command prints without a traceback."""

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except BoardllamaError as error:
            raise DeployError(str(error)) from None

    return called


def stage(name: str) -> Callable[[Callable[P, None]], PyinfraOperation[P]]:
    """Decorates a function that emits operations; `name` stands before each of them in pyinfra's output."""
    return lambda function: deploy(name)(one_line_errors(function))
