"""Words of strangers (venues, files, other programs), made safe to print, to mail and to table."""

from __future__ import annotations

import re
import unicodedata

LONGEST = 2000
"""Letters of one message that are kept."""

_NEWEST = 1900

_BLANK = frozenset({"Cc", "Zl", "Zp"})
_FORMULA = re.compile(r"(^|[;\t])([\s\"']*)(?=[=+\-@|%\uFF1D\uFF0B\uFF0D\uFF20])")


def plain(text: str) -> str:
    """Return a text as one line without anything that acts instead of being read.

    Line ends and control characters (also those that steer a terminal) become blanks; invisible
    ones are left out: those that turn the direction of writing above all; half a letter of
    UTF-16 becomes a question mark. What is too long is cut.
    """
    if len(text) > LONGEST:
        text = text[: LONGEST - 3] + "..."
    if text.isascii() and text.isprintable():
        return text
    shown = ""
    for letter in map(_shown, text):
        if letter != "\n":
            shown += letter
        elif not shown.endswith(" "):
            shown += " "
    return shown


def newest(text: str) -> str:
    """Return a text that grows at its end as one safe line: what is too long loses its beginning.

    How much is left out is said, so that two texts of different length never look the same.
    """
    if len(text) > LONGEST:
        text = f"({len(text) - _NEWEST} letters before) ... {text[-_NEWEST:]}"
    return plain(text)


def cell(text: str) -> str:
    """Return a text for a cell of a CSV file that no spreadsheet takes for a formula.

    A quote goes in front of `= + - @ | %` where they begin the text, also behind blanks, or
    follow a semicolon (which many spreadsheets take for the end of a cell). Numbers are not
    text: they never come here, and stay numbers.
    """
    return _FORMULA.sub(r"\1'\2", plain(text).strip())


def _shown(letter: str) -> str:
    """Return what stands for a letter, a line end for what parts words."""
    category = unicodedata.category(letter)
    if category in _BLANK:
        return "\n"
    if category == "Cs":
        return "?"
    return "" if category == "Cf" else letter
