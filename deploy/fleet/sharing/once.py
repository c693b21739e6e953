"""What a run does once, however many boards ask for it at the same time."""

from collections.abc import Callable
from threading import Lock
from typing import Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Once(Generic[P, T]):
    """A function that runs once for the same arguments. Whoever calls it meanwhile waits for the result.

    functools.cache would let greenlets in that come while the first one waits for something.
    """

    def __init__(self, function: Callable[P, T]) -> None:
        self.function, self.lock = function, Lock()
        self.results: dict[object, T] = {}

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        key = (args, tuple(kwargs.items()))
        with self.lock:
            if key not in self.results:
                self.results[key] = self.function(*args, **kwargs)
            return self.results[key]

    def forget(self) -> None:
        """Has the next call run the function anew."""
        self.results.clear()
