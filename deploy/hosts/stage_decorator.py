"""A stage of the deploy: pyinfra's @deploy, with our errors shown as pyinfra shows its own, in one line."""

import sys
from collections.abc import Callable
from functools import wraps
from importlib.util import module_from_spec, spec_from_file_location
from typing import ParamSpec

from pyinfra import host
from pyinfra.api import DeployError
from pyinfra.api.arguments_typed import PyinfraOperation
from pyinfra.api.deploy import deploy

from deploy.errors import BoardllamaError
from deploy.hosts.run_record import record_of
from deploy.paths import STORY

P = ParamSpec("P")

# For each operation of each host pyinfra asks inspect.stack() for the lines that led to it. Of a file that is no
# module's, inspect looks through all modules each time: a quarter of the controller's work at 50 boards. So deploy.py,
# which pyinfra runs but does not import, is the file of a module, too.
MODULE = spec_from_file_location("deploy.story", STORY)
assert MODULE
sys.modules[MODULE.name] = module_from_spec(MODULE)


def one_line_errors(function: Callable[P, None]) -> Callable[P, None]:
    """Turns BoardllamaError into DeployError, which the pyinfra command prints without a traceback."""

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except BoardllamaError as error:
            record_of(host).note_failure(str(error), "refused")
            raise DeployError(str(error)) from None

    return called


def stage(name: str) -> Callable[[Callable[P, None]], PyinfraOperation[P]]:
    """Decorates a function that emits operations; `name` stands before each of them in pyinfra's output."""
    return lambda function: deploy(name)(one_line_errors(function))
