"""How a model says what is wrong with something a person wrote."""

Path = tuple[str | int, ...]
"""Keys and list positions, from the outermost inwards."""


class MistakeError(ValueError):
    """Raised by validators of `Written` models: the sentence, and what helps to place and mend the mistake.

    `allowed` says in a few words what could stand there instead, `found` which part of a longer text it is about.
    `at` leads from the model that was validated to the very value that is wrong, where a validator looks at several.
    """

    def __init__(self, message: str, *, found: str | None = None, allowed: str | None = None, at: Path = ()) -> None:
        super().__init__(message)
        self.found = found
        self.allowed = allowed
        self.at = at
