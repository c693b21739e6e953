"""What a GGUF header says in the keys of its architecture."""

from functools import cached_property

from deploy.models.gguf.header import Header
from deploy.onboard.gguf.chat_models import MOST_LAYERS


class GgufFacts:
    """The keys of one architecture. A key that is missing or holds no number counts as 0: damage is no crash."""

    def __init__(self, header: Header, architecture: str) -> None:
        self.header = header
        self.architecture = architecture

    def number(self, key: str, default: int = 0) -> int:
        """The value of the key, not below 0."""
        value = self.header.keys.get(f"{self.architecture}.{key}", default)
        return value if isinstance(value, int) and value >= 0 else default

    def per_layer(self, key: str, layers: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """The number of each layer, from a list or from one number for all; `default` where there is no such key."""
        values = self.number_list(key)
        if f"{self.architecture}.{key}" in self.header.keys:
            values = (self.number(key),) * layers
        return (values or default)[:layers]

    def number_list(self, key: str) -> tuple[int, ...]:
        """The numbers of a list; () when the key holds none."""
        values = self.header.lists.get(f"{self.architecture}.{key}", ())
        return tuple(value if isinstance(value, int) and value >= 0 else 0 for value in values)

    @property
    def layer_count(self) -> int:
        """How many layers the file has; a damaged count must not fill the memory."""
        return min(self.number("block_count"), 4 * MOST_LAYERS)

    @cached_property
    def heads_by_layer(self) -> tuple[int, ...]:
        """Heads of attention, by layer."""
        return self.per_layer("attention.head_count", self.layer_count)

    @cached_property
    def head_size(self) -> int:
        """Numbers per head of attention, for a file in which no key gives them."""
        return self.number("embedding_length") // max(1, *self.heads_by_layer) if any(self.heads_by_layer) else 0
