"""Frames of the wire: a length in four bytes, then texts that each end with a NUL."""

from __future__ import annotations

import struct
from collections.abc import Sequence

LARGEST = 0xFFFFFF
"""The most bytes a frame may have; the real gateway cuts the connection beyond it."""

NO_REQUEST = -1
READING = 320
"""The code with which a gateway says that it could not read a request."""

UNREADABLE = "\N{REPLACEMENT CHARACTER}"
"""What stands in a text for bytes that are no UTF-8."""

_LENGTH = struct.Struct(">I")


class WireError(Exception):
    """What a gateway answers to a message that it cannot read.

    `request_id` is -1 where the message does not tell it; `text` is the answer's words.
    `before`: the whole frames that came with the same bytes before the one it is about.
    """

    def __init__(
        self,
        code: int,
        text: str,
        request_id: int = NO_REQUEST,
        before: Sequence[tuple[str, ...]] = (),
    ) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text
        self.request_id = request_id
        self.before = tuple(before)


def pack(fields: Sequence[str]) -> bytes:
    """Return the frame of these texts; raises `ValueError` for a NUL in one, or for too many."""
    if not fields:
        return _LENGTH.pack(0)
    joined = "\0".join(fields)
    if joined.count("\0") != len(fields) - 1:
        raise ValueError("a field of the wire cannot have a NUL in it")
    body = joined.encode("utf-8") + b"\0"
    if len(body) > LARGEST:
        raise ValueError(f"a frame of {len(body)} bytes is larger than {LARGEST}")
    return _LENGTH.pack(len(body)) + body


class Unpacker:
    """Cuts what arrives into frames, however it was cut on its way."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[str, ...]]:
        """Return the frames that are complete now, each as its texts.

        Bytes that are no UTF-8 become U+FFFD, which no message may have: `codec.parse` then
        says so, with the id of the request. Raises `WireError` for a length beyond `LARGEST`
        and for a message whose number is no text: what follows cannot be trusted then.
        """
        rest = self._rest + data if self._rest else bytes(data)
        frames: list[tuple[str, ...]] = []
        start, size = 0, len(rest)
        while size - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(rest, start)
            if length > LARGEST:
                raise self._lost(f"A frame of {length} bytes", frames)
            end = start + _LENGTH.size + length
            if size < end:
                break
            fields = texts(rest[start + _LENGTH.size : end])
            if fields and UNREADABLE in fields[0]:
                raise self._lost("A message without a number", frames)
            frames.append(fields)
            start = end
        self._rest = rest[start:]
        return frames

    def _lost(self, why: str, before: Sequence[tuple[str, ...]]) -> WireError:
        self._rest = b""
        return WireError(READING, f"Error reading request. {why}", before=before)


def texts(body: bytes) -> tuple[str, ...]:
    """Return the texts of a frame's body; the last one may lack its NUL (the handshake's)."""
    if not body:
        return ()
    return tuple(body.decode("utf-8", "replace").removesuffix("\0").split("\0"))
