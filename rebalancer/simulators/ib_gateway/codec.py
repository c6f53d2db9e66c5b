"""Messages to and from the fields of a frame, by the layouts.

Strict both ways: no field too many, none too few, each of its kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rebalancer.simulators.ib_gateway.codec_read import Cursor, Unreadable, reader
from rebalancer.simulators.ib_gateway.codec_values import READ
from rebalancer.simulators.ib_gateway.codec_write import writer
from rebalancer.simulators.ib_gateway.frames import NO_REQUEST, READING, UNREADABLE, WireError
from rebalancer.simulators.ib_gateway.layouts_in import REQUESTS

UNKNOWN_MESSAGE = 505
"""The code with which a gateway says that it does not know a message."""

_NUMBERS = {str(number): number for number in REQUESTS}
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Request:
    """One message of a client: its name, and its fields by theirs.

    Whole numbers are int, others Decimal, both None where they are unset; truths are bool
    (unset: False). Groups are tuples of mappings. Blocks that are not there leave no names.
    """

    name: str
    values: Mapping[str, Any]


def parse(fields: Sequence[str], version: int) -> Request:
    """Return what a client's message says, read to its last field.

    Parameters
    ----------
    fields
        The texts of its frame, the message's number first.
    version
        Of the wire, 157 to 178; raises `ValueError` for another.

    Raises
    ------
    WireError
        As the gateway answers: 505 for a number that no message has; 320 for a message that
        cannot be read, with the id of its request or order where that can be read.
    """
    number = _NUMBERS.get(fields[0]) if fields else None
    if number is None:
        shown = fields[0][:_SHOWN] if fields else ""
        raise WireError(UNKNOWN_MESSAGE, f"Fatal Error: Unknown message id. {shown}".rstrip())
    name, read = reader(number, version)
    cursor = Cursor(name, fields)
    values: dict[str, Any] = {}
    try:
        read(cursor, values)
        if cursor.place != len(fields):
            raise Unreadable(f"{len(fields) - cursor.place} fields are left over in {name}")
        if any(UNREADABLE in text for text in fields if not text.isascii()):
            raise Unreadable(f"a text of {name} is no UTF-8")
    except Unreadable as error:
        text = f"Error reading request. {error}"
        raise WireError(READING, text, _request_id(values)) from error
    return Request(name, values)


def _request_id(values: Mapping[str, Any]) -> int:
    """Return the id of a message that was read in part, -1 where it has none."""
    found = values.get("reqId", values.get("orderId", ""))
    if isinstance(found, int):
        return found
    try:
        return int(READ["k"](found))
    except ValueError:
        return NO_REQUEST


def encode(name: str, version: int, **values: Any) -> tuple[str, ...]:
    """Return the fields of a message of the gateway, its number first.

    Parameters
    ----------
    name
        The message's, as `layouts_out.ANSWERS` has it.
    version
        Of the wire, 157 to 178; raises `ValueError` for another.
    values
        int, Decimal, bool, text (of a number: plain decimal text), or None for unset; groups
        are sequences of mappings, of sequences in the order of the members' fields, or of
        plain values. A value that another version has is left out.

    Raises
    ------
    TypeError
        For a name that the message does not have in any version, a value that must be given
        and was not, and a value of another kind (a float is one).
    """
    number, found = writer(name, version)
    out = [number]
    found.write(values, out)
    return tuple(out)
