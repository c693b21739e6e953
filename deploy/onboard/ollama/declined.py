"""Why a call is not answered as it was asked."""


class Declined(Exception):
    """An answer of the status `status`; the sentence is what Ollama's clients show."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
