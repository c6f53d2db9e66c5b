"""A value that must not be seen: passwords and keys; and words from which it is taken out."""

from __future__ import annotations

import base64
import json
from typing import NoReturn

STARS = "***"
SHORTEST = 5
"""A shorter text is no secret worth the name, and its letters are everywhere.

It is never masked: a configuration with such a password is refused (`config.passwords`).
"""

_texts: set[str] = set()
_spellings: dict[str, tuple[str, ...]] = {}


class Secret:
    """A text that no log, traceback or record shows; `reveal` is the only way to it.

    Where words of strangers are told (errors of libraries, answers of servers), `masked` takes
    every text out that was ever made a secret in this process.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text
        if len(text) >= SHORTEST:
            _texts.add(text)

    def reveal(self) -> str:
        """Return the text itself; call it where it is used and keep it nowhere."""
        return self._text

    def __bool__(self) -> bool:
        """Return whether there is a text at all."""
        return bool(self._text)

    def __repr__(self) -> str:
        """Return stars, however long the text is."""
        return STARS

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(STARS, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied into a file. Raises `TypeError`."""
        raise TypeError("a secret is never written")


def masked(words: str) -> str:
    """Return words with stars for every secret in them, in whatever way it is spelt there.

    Known are: plain, also with its blanks collapsed, as a literal of Python or JSON, as a part of
    a URL, in hexadecimal, in base64 at any place.
    """
    for text in sorted(_texts, key=_longest_first):
        if text not in _spellings:
            _spellings[text] = _spelt(text)
        for spelling in _spellings[text]:
            if spelling in words:
                words = words.replace(spelling, STARS)
    return words


def _spelt(text: str) -> tuple[str, ...]:
    """Return the spellings of a text, the longest first."""
    whole = [text]
    host, _, path = text.partition("://")[2].partition("/")
    if host and len(path) >= SHORTEST:
        whole.append(path)  # of an address, errors often tell the path alone
    found = set()
    for each in whole:
        raw = each.encode("utf-8", "surrogatepass")
        found |= {each, repr(each)[1:-1], repr(raw)[2:-1], raw.hex(), raw.hex().upper()}
        found.add(" ".join(each.split()))  # words of strangers often have their blanks collapsed
        found |= {json.dumps(each)[1:-1], json.dumps(each, ensure_ascii=False)[1:-1]}
        found |= {_quoted(raw, ""), _quoted(raw, "/"), _quoted(raw, "").replace("%20", "+")}
        found |= {_inner_base64(raw, before) for before in range(3)}
    return tuple(sorted((each for each in found if len(each) >= SHORTEST), key=_longest_first))


def _longest_first(text: str) -> tuple[int, str]:
    return -len(text), text


def _quoted(raw: bytes, safe: str) -> str:
    """Return a text as parts of URLs have it; `urllib` is for rooms that speak to somebody."""
    plain = f"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~{safe}"
    return "".join(chr(byte) if chr(byte) in plain else f"%{byte:02X}" for byte in raw)


def _inner_base64(raw: bytes, before: int) -> str:
    """Return the letters of base64 that depend on a text alone, so many bytes after a start."""
    letters = base64.b64encode(b"\0" * before + raw + b"\0\0\0").decode("ascii")
    return letters[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
