"""What is looked at again and again while something else runs."""

import threading
from abc import ABC, abstractmethod
from typing import TypeVar

Self = TypeVar("Self", bound="Watch")


class Watch(ABC):
    """Context manager: looks every `look_seconds`, in a thread of its own, until the block has ended."""

    look_seconds: float

    @abstractmethod
    def look(self) -> None:
        """Looks once."""

    def __enter__(self: Self) -> Self:
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.look_on, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()

    def look_on(self) -> None:
        """Looks until the block has ended."""
        while not self.ended.wait(self.look_seconds):
            self.look()
