"""The one exception family of boardllama."""


class BoardllamaError(Exception):
    """Something a user can mend. The message is one line: what was seen, which rule it breaks, what to do.

    `verdict`: what became of the host that it happened to, in the table at the end of a run.
    """

    verdict = "failed"
