"""Extra arguments: known to the server that is deployed, or refused by name with the reason."""

import sys
from pathlib import Path

import pytest

from deploy.onboard.server.config import ConfigError, config_problems, with_defaults
from deploy.onboard.server.extra_arguments import argument_problems, known_flags, require_good_arguments
from deploy.onboard.service import OLLAMA
from tests.unit.test_settings import refused, told

HELP = """----- common params -----

-h,    --help, --usage                  print usage and exit
-c,    --ctx-size N                     size of the prompt context (default: 0, 0 = loaded from model)
                                        (env: LLAMA_ARG_CTX_SIZE)
-s,    --seed SEED                      RNG seed (default: -1, use random seed for -1)
--perf, --no-perf                       whether to enable internal libllama performance timings (default:
-ag,   --agent, -no-ag, --no-agent      whether to enable CORS proxy and all built-in tools - do not enable in
--api-key-file FNAME                    path to file containing API keys, one per line; lines starting with a
--slot-save-path PATH                   path to save slot kv cache (default: disabled)
--spec-type none,draft-simple,ngram-mod
                                        comma-separated list of types of speculative decoding to use (default:
--fim-qwen-1.5b-default                 use default Qwen 2.5 Coder 1.5B (note: can download weights from the
"""


def test_every_name_of_a_flag_is_known_with_the_others() -> None:
    known = known_flags(HELP)
    assert known["-c"] == known["--ctx-size"] == ("-c", "--ctx-size")
    assert known["--no-agent"] == ("-ag", "--agent", "-no-ag", "--no-agent")
    assert set(known) >= {"--perf", "--spec-type", "--fim-qwen-1.5b-default"}
    assert not {"--cors", "none", "-1"} & set(known)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--seed", "7"], ""),
        (["--seed", "-1", "--no-perf"], ""),
        (["--sed", "7"], "--sed is no argument of this llama-server: did you mean --seed?"),
        (["--api_key_file", "/x"], "--api_key_file is not to be changed: the setting api_key says who gets in"),
        (["seed", "7"], "seed is the value of no argument: the first must begin with -"),
        (["-no-ag"], "-no-ag is not to be changed: it gives whoever asks the files and the shell of the board"),
        (["--slot-save-path", "/x"], "--slot-save-path is not to be changed: a damaged file there ends the server"),
        (["--fim-qwen-1.5b-default"], "the settings of the model say which model is served"),
        (["-c", "4096"], "-c has a key of its own: models.default_context_size"),
        (["--spec-type", "draft-simple"], "--spec-type has a key of its own: inference.speculative"),
        (["--usage"], "llama-server would end instead of serving"),
    ],
)
def test_an_argument_is_known_and_undoes_nothing(arguments: list[str], said: str) -> None:
    found = "; ".join(argument_problems(arguments, HELP))
    assert said in found and bool(said) == bool(found)


def test_the_server_itself_is_asked_what_it_knows(tmp_path: Path) -> None:
    """Only where there are extra arguments: every start would wait for it."""
    server = tmp_path / "llama-server"
    server.write_text(f"print('''{HELP}''')")
    config = with_defaults({"inference": {"extra_arguments": ["--sed", "7", "--tools", "all"]}}, OLLAMA)
    with pytest.raises(ConfigError, match=r"^inference\.extra_arguments: --sed is no .*; --tools is no argument"):
        require_good_arguments(config, sys.executable, str(server))
    require_good_arguments(with_defaults({}, OLLAMA), str(tmp_path / "none"))


@pytest.mark.parametrize(
    "value", ["--seed 7", [7], [""], ["x" * 1001], ["a\nb"], ["x"] * 65, ["x" * 100_000], {"--seed": 7}]
)
def test_what_is_no_list_of_short_texts_is_one_line_of_refusal(value: object) -> None:
    (problem,) = config_problems({"inference": {"extra_arguments": value}}, OLLAMA, keyed=False)
    assert "must be a list of at most 64 texts of 1 to 1000 printable characters" in problem
    assert len(problem) < 250 and problem.isprintable()


def test_a_hundred_kilobytes_in_a_setting_are_one_line() -> None:
    for value in ("x" * 100_000, ["x" * 100_000], ["x"] * 100_000):
        assert len(refused(extra_arguments=value)) < 400
    assert told(extra_arguments=["--seed", "7"]).extra_arguments == ["--seed", "7"]
