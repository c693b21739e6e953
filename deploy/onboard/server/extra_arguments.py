"""Arguments of llama-server that config.json has no key for: whether this llama-server knows them, and undoes nothing.

What a server knows, its own `--help` says: no table of ours goes stale with another llama.cpp. It is asked only when
there are extra arguments.
"""

import re
from collections.abc import Iterable, Iterator

from ..commands import end_of
from ..spelling import nearest_name
from .config import ConfigError
from .config_keys import KEYS, Config

HELP_SECONDS = 60.0
MOST_SAID = 3  # problems in one line
# A line of --help that begins with flags: "-c,    --ctx-size N   size of the prompt context …".
FLAGS = re.compile(r"(?:--?[A-Za-z][\w.-]*,? *)+")
FLAG = re.compile(r"--?[A-Za-z][\w.-]*")

# Flags that would undo what a board promises, and why. Of flags with several names all are refused.
REFUSED = {
    "the settings of the model say which model is served": """
        --model --model-url --docker-repo --hf-repo --hf-file --hf-token --mmproj --mmproj-url --mmproj-auto
        --spec-draft-model --spec-draft-hf --models-dir --models-preset --models-max --models-autoload --rpc
        --embd-gemma-default --fim-qwen-1.5b-default --fim-qwen-3b-default --fim-qwen-7b-default --fim-qwen-7b-spec
        --fim-qwen-14b-spec --fim-qwen-30b-default --gpt-oss-20b-default --gpt-oss-120b-default
        --vision-gemma-4b-default --vision-gemma-12b-default""",
    "the setting role says what the model is for": "--embeddings --rerank --pooling",
    "the setting api_key says who gets in": "--api-key --api-key-file",
    "the watcher, the deploy and every client ask at the address of config.json": "--reuse-port --api-prefix --path",
    "it gives whoever asks the files and the shell of the board": """
        --tools --tools-runtime --agent --mcp-servers-config --mcp-servers-json --ui-mcp-proxy""",
    "web pages from elsewhere could use the server": "--cors-origins --cors-methods --cors-headers --cors-credentials",
    "every board has its web page": "--ui",
    "it lets anyone change the server while it runs": "--props",
    "a damaged file there ends the server": "--slot-save-path",
    "this llama-server is built without TLS: a reverse proxy does it": "--ssl-key-file --ssl-cert-file",
    "a board is judged by its numbers, and looked after by them": "--metrics --threads-http --offline",
    "the memory of a board is counted with it": """
        --ubatch-size --kv-unified --kv-unified-per-slot --swa-full --flash-attn --load-mode --fit
        --fit-target --fit-ctx""",
    "llama-server would end instead of serving": "--help --version --cache-list --completion-bash --list-devices",
}
REASONS = {flag: reason for reason, flags in REFUSED.items() for flag in flags.split()}
# The keys that `server_command` reads together with others, and their flags.
TOGETHER = {"models.default_threads": "--threads", "models.default_batch_threads": "--threads-batch"}
TOGETHER |= {"models.alias": "--alias", "inference.gpu_layers": "--gpu-layers"}


def own_keys() -> dict[str, str]:
    """The flags that a key of config.json becomes, and the key."""
    found = {flag: key for key, flag in TOGETHER.items()}
    for section, keys in KEYS.items():
        for name, key in keys.items():
            words = key.arguments(0 if key.default is None else key.default)
            found |= {word: f"{section}.{name}" for word in words if word.startswith("--")}
    return found


def require_good_arguments(config: Config, *program: str) -> None:
    """Raises ConfigError for arguments that the server, started by `program`, does not know or that undo a promise."""
    arguments = config["inference"]["extra_arguments"]
    said = help_of(*program) if arguments else ""
    if found := list(argument_problems(arguments, said)) if said else []:
        raise ConfigError("inference.extra_arguments: " + "; ".join(found[:MOST_SAID]))


def help_of(*program: str) -> str:
    """What the server's --help says; "" when it says nothing."""
    done = end_of(*program, "--help", deadline=HELP_SECONDS)
    return done.stdout if done else ""


def known_flags(help_text: str) -> dict[str, tuple[str, ...]]:
    """Every flag of a server's --help, with all names of the same."""
    groups = (tuple(FLAG.findall(found[0])) for line in help_text.splitlines() if (found := FLAGS.match(line)))
    return {name: names for names in groups for name in names}


def argument_problems(arguments: Iterable[str], help_text: str) -> Iterator[str]:
    """A sentence for each argument that the server does not know, or that is not to be changed here."""
    known, reasons, keys = known_flags(help_text), REASONS, own_keys()
    for number, word in enumerate(arguments):
        # llama-server takes - and _ in a flag for the same: common/arg.cpp.
        flag = word.replace("_", "-") if word.startswith("--") else word
        if not FLAG.match(word):  # the value of the flag before
            if not number:
                yield f"{word} is the value of no argument: the first must begin with -"
            continue
        names = known.get(flag, ())
        reason = next((reasons[name] for name in names if name in reasons), "")
        key = next((keys[name] for name in names if name in keys), "")
        if not names:
            near = nearest_name(flag, known)
            yield f"{word} is no argument of this llama-server" + (f": did you mean {near}?" if near else "")
        elif key:
            yield f"{word} has a key of its own: {key}"
        elif reason:
            yield f"{word} is not to be changed: {reason}"
