"""Strangers' bytes: whatever they are, a reader returns, or raises the error that it documents, in its bounds.

The same is tried with millions of inputs by `make fuzz` (docs/explanation/fuzzing.md).
"""

from contextlib import suppress
from random import Random

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tests.fuzz.mutator import LONGEST, Mutator
from tests.fuzz.reader import Reader, TooSlow, Unreadable, bounds, deadline, judge_input
from tests.fuzz.readers import READERS
from tests.fuzz.worker import input_of

INPUTS = 15  # for a reader of the usual pace
every = pytest.mark.parametrize("reader", READERS.values(), ids=READERS)


@every
def test_a_reader_takes_its_examples(reader: Reader) -> None:
    with reader.surroundings(), bounds():
        for example in reader.examples():
            judge_input(reader, example)


@every
def test_whatever_the_bytes_a_reader_returns_or_raises_what_it_documents(reader: Reader) -> None:
    mutator = Mutator(reader.examples(), reader.words)
    count = max(5, min(3 * INPUTS, round(INPUTS * reader.pace)))

    @settings(
        max_examples=count, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.randoms(use_true_random=False))
    def keeps_its_promise(chance: Random) -> None:
        data = mutator.make(chance)
        note(repr(data))
        with deadline():
            judge_input(reader, data)

    with reader.surroundings(), bounds():
        keeps_its_promise()


def test_an_input_is_known_by_its_number() -> None:
    mutator = Mutator([b'{"a": 1}', b"x"])
    made = [input_of(mutator, 7, number) for number in range(200)]
    assert made == [input_of(mutator, 7, number) for number in range(200)]
    assert len(set(made)) > 100 and max(map(len, made)) <= LONGEST


def test_another_error_slowness_memory_and_odd_words_are_found() -> None:
    def reads(data: bytes) -> None:
        if data == b"loop":
            while True:
                pass
        if data == b"memory":
            bytes(1 << 30)
        raise KeyError(data.decode("latin-1"))

    reader = Reader("odd", reads, lambda: [b""], (KeyError,))
    with bounds():
        judge_input(reader, b"a word")
        for data, error in ((b"loop", TooSlow), (b"memory", MemoryError)):
            with pytest.raises(error), deadline():
                judge_input(reader, data)
    with pytest.raises(Unreadable):
        judge_input(Reader("shows", shows_data, lambda: [b""], (ValueError,)), b"\x1b[2J")
    with pytest.raises(KeyError), suppress(ValueError):
        judge_input(Reader("odd", reads, lambda: [b""], (ValueError,)), b"")


def shows_data(data: bytes) -> None:
    raise ValueError(data.decode())
