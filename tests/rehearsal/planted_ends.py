"""Bugs to plant into what ends an order, what bounds it, and what the venue did by itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest

from rebalancer.brokers.ib.known import KnownOrder
from rebalancer.brokers.ib.statuses import ENDED
from rebalancer.execution import OrderState, Then, WorkParameters, after_end
from rebalancer.model.orders import OrderStatus
from rebalancer.risk import gates
from rebalancer.working import bookkeeping, flatten, work

LIBRARY_WARNINGS = frozenset({110, 165, 202, 399, 404, 434, 492, 10167, *range(2100, 2200)})
"""Error codes that leave an order what it was in the client library; all others cancel it."""


def trust_cancelled(patch: pytest.MonkeyPatch) -> None:
    """An error makes an order Cancelled, as the client library has it; its rest is sent again."""
    hear_error = KnownOrder.hear_error

    def cancelled(order: KnownOrder, code: int, words: str, **more: bool) -> None:
        hear_error(order, code, words, **more)
        if code not in LIBRARY_WARNINGS and not order.status.terminal:
            order.word, order.doubtful = "Cancelled", False

    patch.setattr(KnownOrder, "hear_error", cancelled)
    _let_ends_stand(patch, {})


def trust_inactive(patch: pytest.MonkeyPatch) -> None:
    """What is Inactive is as good as cancelled; its rest is sent again."""
    _let_ends_stand(patch, {"Inactive": "Cancelled"})


def _let_ends_stand(patch: pytest.MonkeyPatch, meaning: Mapping[str, str]) -> None:
    """Let no word be heard of an order that is Cancelled, and another order follow it."""
    hear_word = KnownOrder.hear_word

    def heard(order: KnownOrder, word: str, *rest: Any, **more: Any) -> None:
        if order.word not in ENDED:
            hear_word(order, meaning.get(word, word), *rest, **more)

    def followed(state: OrderState, parameters: WorkParameters, now: datetime) -> Then | None:
        ended = state.status in (OrderStatus.CANCELLED, OrderStatus.EXPIRED)
        then = after_end(state, parameters, now)
        return Then.TAKER if then is None and ended and not state.heir else then

    patch.setattr(KnownOrder, "hear_word", heard)
    patch.setattr(work, "after_end", followed)


def send_orders_of_any_size(patch: pytest.MonkeyPatch) -> None:
    """No gate looks at how large an order is."""
    left = tuple(gate for gate in gates.GATES if gate.name != "size")
    assert len(left) == len(gates.GATES) - 1
    patch.setattr(gates, "GATES", left)


def book_what_the_venue_closed_without_a_word(patch: pytest.MonkeyPatch) -> None:
    """Executions that no order of ours explains go into the books, and nothing is said."""
    patch.setattr(bookkeeping, "tell_foreign", lambda *_: None)


def sell_again_what_an_old_account_shows(patch: pytest.MonkeyPatch) -> None:
    """A sale takes any account that comes after a round for what is left."""
    patch.setattr(flatten._Sale, "_not_shown", lambda *_: {})
