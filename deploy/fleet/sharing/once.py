"""What a run does once, however many boards ask for it at the same time: also what fails."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock
from typing import Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Once(Generic[P, T]):
    """A function that runs once for the same arguments. Whoever calls it meanwhile, or later, gets what came of it.

    functools.cache would let greenlets in that come while the first one waits for something.
    """

    def __init__(self, function: Callable[P, T]) -> None:
        self.function, self.lock = function, Lock()
        self.results: dict[object, Future[T]] = {}

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        key = (args, tuple(kwargs.items()))
        with self.lock:
            if key not in self.results:
                done = self.results[key] = Future[T]()
                try:
                    done.set_result(self.function(*args, **kwargs))
                except Exception as error:
                    done.set_exception(error)
            return self.results[key].result(0)

    def forget(self) -> None:
        """Has the next call run the function anew."""
        self.results.clear()
