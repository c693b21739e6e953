"""Secrets of boardllama.txt: said to nobody, gone from the card when they are in use."""

import pytest

from deploy.onboard.identity.boardllama_txt import identity_of, parse_identity, read_identity
from deploy.onboard.identity.secret_lines import without_secrets
from tests.unit.test_boardllama_txt import FULL, said


@pytest.mark.parametrize(
    "line",
    [
        "wifi_password = hünter2",
        "api_key = hünter2",
        "wifi_pasword = hünter2",
        "api_key: hünter2",
        "wifi_password: hünter2=x",
        "wifi_password:hünter2=x",
        "wifi_password:hünter2",
        "hünter2geheim",
        "wifi_password = \u201chünter22\u201d",
    ],
)
def test_a_secret_is_never_repeated(line: str) -> None:
    text = f"wifi_ssid = Home\n{line}"
    assert said(text)
    assert "nter2" not in " ".join(said(text))
    assert "nter22222" not in repr(identity_of(("wifi_ssid", "Home"), ("wifi_password", "hunter22222")))


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_applied_secrets_leave_the_file_and_the_rest_stays_as_it_was(newline: str) -> None:
    text = ("# mine\n\n" + FULL.replace("api_key =", "API_KEY=")).replace("\n", newline)
    clean = without_secrets(text, parse_identity(text))
    assert "battery" not in clean and "sk-01" not in clean
    before, after = text.split(newline), clean.split(newline)
    assert [old for old, new in zip(before, after, strict=True) if old != new and "_" not in old] == []
    identity = parse_identity(clean)
    assert identity.kept == {"wifi_password", "api_key"}
    assert identity.wifi_ssid == parse_identity(FULL).wifi_ssid, "its password is kept on the board"
    assert without_secrets(clean, parse_identity(clean)) == clean
    assert parse_identity(identity.render()).kept == identity.kept


def test_a_secret_that_is_wrong_leaves_the_file_too_and_is_asked_for_until_it_is_there() -> None:
    text = "api_key = hünter2\nhostname = kitchen"
    for _ in range(2):
        identity, problems = read_identity(text)
        assert [problem.line for problem in problems] == [1]
        assert "api_key" in identity.unclear
        text = without_secrets(text, identity)
        assert "hünter2" not in text and "applied" not in text
    assert parse_identity(f"{text}\napi_key = sk-0123456789").api_key == "sk-0123456789"


def test_a_secret_that_is_right_waits_in_the_file_for_the_line_that_it_needs() -> None:
    text = f"wifi_ssid = {'x' * 33}\nwifi_password = correct horse\n"
    identity, problems = read_identity(text)
    assert len(problems) == 1
    assert without_secrets(text, identity) == text


@pytest.mark.parametrize("name", ["wifi_password", "api_key"])
def test_of_two_secrets_of_one_name_none_is_used_and_none_is_lost(name: str) -> None:
    text = f"wifi_ssid = Home\n{name} = correct-horse\n{name} = battery-staple\n"
    identity, problems = read_identity(text)
    assert identity.value_of(name) is None
    assert any("line 3" in str(problem) and "take one of them away" in problem.text for problem in problems)
    assert without_secrets(text, identity) == text
