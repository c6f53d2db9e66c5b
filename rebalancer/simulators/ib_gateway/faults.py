"""What goes wrong on the wire: on a script, or by a seed.

A fault waits for a message: one of the client's (`placeOrder`, `reqPositions`: as it arrives
here) or one of the gateway's (`orderStatus`, `position`: as it is sent). Further occasions are
`connect` (a new connection), `handshake`, `serverVersion` (its answer) and `advance` (somebody
moves simulated time). Some messages have finer names too: `placeOrder:new`,
`placeOrder:change`, `placeOrder:whatIf`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Do(StrEnum):
    """What a fault does. What a client's message is answered with at once is its answer."""

    # To a message of either side.
    LOSE = "lose"  # a request never arrives; a message is never sent
    DELAY = "delay"  # `seconds` later; what comes after it does not wait
    DUPLICATE = "duplicate"  # a request is acted upon twice; a message is sent twice
    CUT = "cut"  # the connection breaks before it has any effect
    CUT_AFTER = "cut-after"  # the connection breaks afterwards, its answer is lost
    STALL = "stall"  # the connection stays, nothing is read or sent on it any more
    RESTART = "restart"  # the gateway restarts: every connection breaks
    ROLL_BACK = "restart-roll-back"  # and the next order ids are those of the morning again
    CONNECTIVITY = "connectivity"  # 1100; `code` (1101, 1102) after `seconds`
    # To the answer of a client's message.
    LOSE_ANSWER = "lose-answer"  # acted upon; nothing of its answer is ever sent
    DELAY_ANSWER = "delay-answer"  # acted upon; its answer comes `seconds` later
    DOUBLE_ANSWER = "double-answer"
    NO_END = "no-end"  # all rows, the end marker never comes
    HALF = "half"  # the first half of the rows, no end marker
    GAPS = "gaps"  # every second row and the end marker: a lie
    NO_ROWS = "no-rows"  # no position, and the end marker: a lie
    OLD_ROWS = "old-rows"  # the positions of `seconds` ago, and the end marker
    OLD_ACCOUNT = "old-account"  # positions, cash and values of `seconds` ago
    ERROR = "error"  # `code` and `text` instead of acting
    ERROR_CUT = "error-cut"  # `code` and `text` instead of acting, then the connection breaks
    NOTICE = "notice"  # `code` and `text`, then it is acted upon
    INACTIVE = "inactive"  # the order works, is told to be Inactive, comes back after `seconds`
    SECOND_ID = "second-id"  # the order's first news have another permId than all later ones
    CAP = "cap"  # of the order that is placed, at most `quantity` ever trades
    # To one of the gateway's messages.
    HOLD = "hold"  # it and all after it come `seconds` later
    CUT_INSIDE = "cut-inside"  # half of its bytes, then the connection breaks
    GARBAGE = "garbage"  # rubbish instead of every third field
    GARBAGE_BYTES = "garbage-bytes"  # rubbish instead of the frame
    # To what is said, from then on.
    ACCOUNT = "wrong-account"  # `text` instead of the account's id, on this connection
    SKEW = "skew"  # the gateway's clock is `seconds` ahead
    NO_QUOTE = "no-quote"  # no ticks for this request for market data
    CROSSED = "crossed-quote"
    ONE_SIDED = "one-sided-quote"  # without an ask
    ZERO = "zero-quote"  # every price is 0
    NAN = "nan-quote"  # every price is no number
    STALE = "stale-quote"  # its last time is `seconds` old
    DELAYED = "delayed-quote"  # delayed data (type 3) with notice 10167


TEXTS: Mapping[int, str] = {
    100: "Max rate of messages per second has been exceeded",
    103: "Duplicate order id",
    104: "Cannot modify a filled order",
    105: "Order being modified does not match original order",
    110: "The price does not conform to the minimum price variation for this contract.",
    161: "Cancel attempted when order is not in a cancellable state.",
    162: "Historical Market Data Service error message:no data of type EODChart is available",
    200: "No security definition has been found for the request",
    201: "Order rejected - reason:made up for a rehearsal",
    202: "Order Canceled - reason:",
    321: "Error validating request:-'made up for a rehearsal'",
    322: "Error processing request:-'made up for a rehearsal'",
    326: "Unable to connect as the client id is already in use. Retry with a unique client id.",
    354: "Requested market data is not subscribed.",
    399: "Order Message:\nWarning: your order will not be placed at the exchange until the opening",
    404: "Order held while securities are located.",
    1100: "Connectivity between IBKR and Trader Workstation has been lost.",
    1101: "Connectivity between IBKR and TWS has been restored - data lost.",
    1102: "Connectivity between IBKR and TWS has been restored - data maintained.",
    1300: "TWS socket port has been reset and this connection is being dropped.",
    2103: "Market data farm connection is broken:usfarm",
    2104: "Market data farm connection is OK:usfarm",
    2105: "HMDS data farm connection is broken:ushmds",
    2106: "HMDS data farm connection is OK:ushmds",
    2109: "Order Event Warning:Attribute 'Outside Regular Trading Hours' is ignored.",
    10147: "OrderId that needs to be cancelled is not found.",
    10148: "OrderId that needs to be cancelled cannot be cancelled, state: PendingCancel.",
    10167: "Requested market data is not subscribed. Displaying delayed market data.",
    10168: "Requested market data is not subscribed. Delayed market data is not enabled.",
    10182: "Failed to request live updates (disconnected).",
    10197: "No market data during competing live session",
    10349: "Order TIF was set to DAY based on order preset.",
}
"""The words that come with a code when a fault gives none."""


@dataclass(frozen=True)
class WireFault:
    """One fault: it strikes at occasions `nth` to `nth + count - 1` (count None: for ever).

    `on`: what it waits for; several with `|` between them. `subject` limits it to an
    instrument (its id, or its symbol) or an order's reference ('' any; occasions of others
    are not counted). `seconds` are of the wire, not of the market, except for `skew`,
    `stale-quote`, `old-rows` and `old-account`. `with_id` False: an error comes with id -1
    instead of the request's.
    """

    on: str
    do: Do
    nth: int = 1
    count: int | None = 1
    subject: str = ""
    seconds: float = 0.0
    code: int = 0
    text: str = ""
    quantity: int = 0
    with_id: bool = True

    def words(self) -> str:
        """Return what the gateway says with its code."""
        return self.text or TEXTS.get(self.code, f"error {self.code}")

    def note(self) -> str:
        """Return what the log says about what it did."""
        more = f" {self.seconds:g} s" if self.seconds else ""
        return f"fault: {self.do.value}{more}{f' {self.code}' if self.code else ''}"


@dataclass(frozen=True)
class WireRate:
    """A fault that a seed may draw at each of its occasions, and how likely: from 0 to 1."""

    fault: WireFault
    rate: float


class WireFaults(Protocol):
    """Who decides what goes wrong.

    `account`: shown instead of the account's id on every connection ('' the right one).
    `closed_until`: nobody can connect before that time of the loop.
    """

    account: str
    closed_until: float

    def strikes(self, names: Sequence[str], subjects: Sequence[str] = ()) -> WireFault | None:
        """Count an occasion that has these names; return the fault that strikes, or None."""

    def add(self, faults: Sequence[WireFault]) -> None:
        """Let these wait too; their occasions are counted from now on."""


@dataclass
class WireScript:
    """Faults that strike at their occasions; of several the first that was given."""

    faults: Sequence[WireFault] = ()
    account: str = ""
    closed_until: float = 0.0
    _occasions: dict[int, int] = field(default_factory=dict)

    def strikes(self, names: Sequence[str], subjects: Sequence[str] = ()) -> WireFault | None:
        """Count an occasion that has these names; return the fault that strikes, or None."""
        struck = None
        for place, fault in enumerate(self.faults):
            if fault.subject and fault.subject not in subjects:
                continue
            if not any(name in fault.on.split("|") for name in names):
                continue
            count = self._occasions[place] = self._occasions.get(place, 0) + 1
            last = float("inf") if fault.count is None else fault.nth + fault.count - 1
            if struck is None and fault.nth <= count <= last:
                struck = fault
        return struck

    def add(self, faults: Sequence[WireFault]) -> None:
        """Let these wait too; their occasions are counted from now on."""
        self.faults = (*self.faults, *faults)


@dataclass
class SeededWireFaults(WireScript):
    """Faults that strike with a probability each, drawn from a seed.

    `rates` has the faults that may be drawn; their `nth` and `count` mean nothing here.
    """

    seed: int = 0
    rates: Sequence[WireRate] = ()
    _draws: dict[int, int] = field(default_factory=dict)

    def strikes(self, names: Sequence[str], subjects: Sequence[str] = ()) -> WireFault | None:
        """Return a fault if the script or the seed has one for this occasion."""
        struck = super().strikes(names, subjects)
        for place, drawable in enumerate(self.rates):
            fault = drawable.fault
            if fault.subject and fault.subject not in subjects:
                continue
            if not any(name in fault.on.split("|") for name in names):
                continue
            number = self._draws[place] = self._draws.get(place, 0) + 1
            text = f"{self.seed}|{place}|{fault.on}|{fault.do.value}|{number}".encode("ascii")
            drawn = int.from_bytes(hashlib.sha256(text).digest()[:6], "big") / 2**48
            if struck is None and drawn < drawable.rate:
                struck = fault
        return struck
