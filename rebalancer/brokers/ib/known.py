"""One order as this connection knows it: what was sent, what the gateway said of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from rebalancer.brokers.ib.statuses import (
    ENDED,
    LIVE,
    NOT_ACKNOWLEDGED,
    ORDER_ERRORS,
    OrderError,
    completed_status,
    status_of,
)
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import OrderStatus, WorkingOrder

_MOVE_ONLY = frozenset({105, 110, 321, 329})
"""Codes that, while a re-price is on its way, are about the re-price and not the order."""

_NO_MATCH = 105
"""The order that was to be modified is another one: of a new order it says nothing."""


@dataclass
class KnownOrder:
    """An order, ours or not.

    Quantities are signed; `word` is TWS's last status word ('' none yet). `told` is what its
    order status says was filled, `executed` what executions prove. `end_told`: 202 was heard,
    which does not say what was filled: a status word or a look-up does. `venue_id` is given once
    and kept for the life of the connection. `moving_to` is a price that was asked for and not
    confirmed; `limit` only changes when the gateway echoes it.
    """

    reference: str
    instrument: InstrumentId
    quantity: Decimal
    limit: Decimal | None
    time_in_force: str
    client_id: int
    order_id: int
    at: datetime
    perm_id: int = 0
    adaptive: str = ""
    order_type: str = ""
    good_till: str = ""
    venue_id: str = ""
    word: str = ""
    held: str = ""
    listed: bool = False
    told: Decimal = Decimal(0)
    executed: Decimal = Decimal(0)
    executed_at: datetime | None = None
    message: str = ""
    refused: bool = False
    doubtful: bool = False
    asked_cancel: bool = False
    cancel_travels: bool = False
    end_told: bool = False
    moving_to: Decimal | None = None
    completed: OrderStatus | None = None
    sent_here: bool = False

    @property
    def status(self) -> OrderStatus:
        """Return where the order is in its life, by the newest proof."""
        if self.quantity and abs(self.executed) >= abs(self.quantity):
            return OrderStatus.FILLED
        # What the gateway lists as open lives, whatever an error said of it.
        gone = self.refused and not self.listed
        if gone and self.word in NOT_ACKNOWLEDGED and not self.executed:
            return OrderStatus.REJECTED
        if self.completed is not None:
            return self.completed
        if self.doubtful:
            return OrderStatus.UNKNOWN
        status = status_of(
            self.word,
            refused=gone or (self.refused and self.word != "Inactive"),
            held=self.held or ("listed as open" if self.listed else ""),
            asked_cancel=self.asked_cancel,
            time_in_force=self.time_in_force,
        )
        if status is OrderStatus.SENT and self.executed:
            status = OrderStatus.WORKING  # it traded: IB has it
        travels = self.cancel_travels and status is OrderStatus.WORKING
        if travels or (self.end_told and not status.terminal):
            return OrderStatus.PENDING_CANCEL
        return status

    @property
    def filled(self) -> Decimal:
        """Return the signed quantity that is filled: what is proved, or told if that is more."""
        return self.executed if abs(self.executed) >= abs(self.told) else self.told

    @property
    def acknowledged(self) -> bool:
        """Return whether IB has said anything of the order that proves it was there."""
        return self.word not in NOT_ACKNOWLEDGED or bool(self.executed) or self.end_told

    def as_event(self, now: datetime) -> WorkingOrder:
        """Return the order as the run knows orders."""
        status = self.status
        at = self.at if status.terminal else now
        if status is OrderStatus.FILLED and self.executed_at is not None:
            at = self.executed_at
        return WorkingOrder(
            reference=self.reference,
            venue_id=self.venue_id,
            instrument=self.instrument,
            quantity=self.quantity,
            filled=self.filled,
            limit=self.limit,
            status=status,
            at=at,
            message=self.message,
        )

    def hear_word(self, word: str, held: str, filled: Decimal, *, in_a_list: bool = False) -> None:
        """Take in a status word of TWS; the newest counts.

        What the gateway repeats before IB took the order undoes nothing. Another word after
        the order's end may be late or may be true: only a list of the open orders (`in_a_list`)
        or of the completed ones settles it, until then nobody knows.
        """
        if word in NOT_ACKNOWLEDGED and self.word not in NOT_ACKNOWLEDGED:
            return
        back = self.word in ENDED and word not in ENDED
        if (back or (self.end_told and word in LIVE)) and not in_a_list:
            self.doubtful = self.completed is None
            return
        self.word, self.held, self.cancel_travels = word, held, False
        size = min(filled, abs(self.quantity)) if self.quantity else filled
        self.told = size if self.quantity >= 0 else -size
        if word not in NOT_ACKNOWLEDGED:
            self.doubtful = False
        if word in LIVE:
            self.refused = self.end_told = False
            self.completed = None

    def hear_error(self, code: int, words: str, *, refuses: bool, known: bool) -> None:
        """Take in an error message with this order's id.

        `refuses`: our error table calls it a refusal; `known`: it has the code. A code that
        nobody knows means that nobody knows what became of the order, never that it is dead.
        """
        effect = ORDER_ERRORS.get(code)
        if effect is None and not known:
            effect = OrderError.LOOK_UP
        if effect is None:
            effect = OrderError.REFUSED if refuses else OrderError.MESSAGE
        if effect is OrderError.ENDED:
            self._hear_the_end(words)
            return
        self.message = f"{words.strip()} (IB {code})"
        if self.status.terminal:
            return
        if effect is OrderError.CANCEL_REFUSED:
            self.cancel_travels = False
        elif effect is OrderError.LOOK_UP or (code == _NO_MATCH and self.moving_to is None):
            self.doubtful, self.cancel_travels = True, False
        elif effect is OrderError.REFUSED:
            about_the_move = self.moving_to is not None and code in _MOVE_ONLY
            self.refused = self.refused or not (about_the_move and self.acknowledged)
            self.moving_to = None

    def _hear_the_end(self, words: str) -> None:
        """Take in 202, before or after the status word, which alone has the filled quantity.

        It also comes for an IOC order that ended by itself; for any other one somebody asked.
        """
        reason = words.partition("reason:")[2].strip()
        if reason:
            self.message = f"{words.strip()} (IB 202)"
        if not self.status.terminal or self.status is OrderStatus.EXPIRED:
            self.end_told, self.cancel_travels, self.doubtful = True, False, False
            self.asked_cancel = self.asked_cancel or self.time_in_force != "IOC"

    def settle(self) -> None:
        """Take in that no list of open orders has it, and that its executions were read since."""
        if self.end_told and not self.status.terminal:
            self.word, self.doubtful = "Cancelled", False

    def hear_completed(self, word: str, words: str, at: datetime) -> None:
        """Take in that the gateway lists the order as completed."""
        ended = completed_status(word, words)
        if self.status.terminal or ended is OrderStatus.UNKNOWN:
            return  # what was told live is more exact: a refusal, an order that expired
        self.completed, self.at, self.doubtful = ended, at, False
        self.message = self.message or words
