"""A value that must not be seen: its text is given only to who asks for it by name."""


class Secret:
    """Holds a secret text. Printing, formatting or logging it shows nothing of it; `reveal` gives it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__
