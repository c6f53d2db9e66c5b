"""The end of a process, inside one process."""

from __future__ import annotations


class Killed(BaseException):
    """The process ended here, as by `kill -9`; `where` says at which operation.

    No `except Exception` catches it, and whatever exit handlers do raises it again, so that
    nothing they do reaches the disk or the wire.
    """

    def __init__(self, where: str) -> None:
        super().__init__(where)
        self.where = where
