"""A value that must not be seen: passwords and keys."""

from __future__ import annotations

from typing import NoReturn


class Secret:
    """A text that no log, traceback or record shows; `reveal` is the only way to it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself; call it where it is used and keep it nowhere."""
        return self._text

    def __bool__(self) -> bool:
        """Return whether there is a text at all."""
        return bool(self._text)

    def __repr__(self) -> str:
        """Return stars, however long the text is."""
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied into a file. Raises `TypeError`."""
        raise TypeError("a secret is never written")
