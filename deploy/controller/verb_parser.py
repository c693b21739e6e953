"""The command line of a verb of `boardllama` that a module of its own reads, with examples in its help."""

import argparse


def verb_parser(verb: str, about: str, *examples: str) -> argparse.ArgumentParser:
    """A parser for `boardllama VERB …`, without arguments yet. `examples`: what follows `boardllama VERB`."""
    lines = "\n".join(f"  boardllama {verb} {example}".rstrip() for example in examples)
    return argparse.ArgumentParser(
        prog=f"boardllama {verb}",
        description=about,
        epilog=f"Examples:\n{lines}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
