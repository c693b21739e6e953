"""The faults that `make mutants` makes: each is a module that Python reads, and none is of what means nothing."""

import ast

import pytest

from tests.mutants.mutations import list_mutations


def mutants(code: str) -> list[str]:
    """What becomes of the code."""
    return [mutation.text() for mutation in list_mutations("m.py", code)]


@pytest.mark.parametrize(
    ("code", "mutant"),
    [
        ("a = b < 3", "a = b <= 3"),
        ("a = 3", "a = 4"),
        ("if a:\n    b()", "if not (a):\n    b()"),
        ("if a:\n    b()", "if a:\n    pass"),
        ("if a:\n    raise E", "if a:\n    pass"),
        ("def f():\n    return a", "def f():\n    return None"),
        ("f(a, b)", "f(a, None)"),
        ("f('word')", "f('XXwordXX')"),
    ],
)
def test_a_fault_is_one_of_those_that_people_make(code: str, mutant: str) -> None:
    assert mutant in mutants(code)
    assert all(ast.parse(text) and text != code for text in mutants(code))


@pytest.mark.parametrize(
    "code",
    [
        "def f(a: int | None): ...",
        "@dataclass(frozen=True)\nclass C: ...",
        '"""Says what f does."""',
        "Say = Callable[[str], None]",
        "AGAIN = 'fetch it again'",
        "a: int | None = None",
        "if __name__ == '__main__':\n    main(3)",
    ],
)
def test_what_no_test_can_see_has_no_fault(code: str) -> None:
    assert mutants(code) == []


def test_a_fault_is_shown_by_its_lines_alone() -> None:
    shown = {mutation.diff() for mutation in list_mutations("m.py", "b = c\na = 3\n") if mutation.line == 2}
    assert shown == {"-a = 3\n+a = None", "-a = 3\n+a = 4"}
