"""The margin preview: IB's what-if, with a time limit, believed only when it is an answer.

The library answers an error with an empty list, and one of the two answers too early because it
compares the API's "unset" with a small `e`; so the answer is read from the message itself.
"""

from __future__ import annotations

import copy
from collections.abc import Awaitable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from rebalancer.brokers.ib.executions import amount_or_none
from rebalancer.brokers.ib.line import RequestFailed
from rebalancer.brokers.ib.orders import OrderBook
from rebalancer.errors import BlindError
from rebalancer.model.orders import MarginPreview

TRIES = 2
SECONDS = 10.0
"""How long one what-if may take; a second one is asked when the first says nothing of use."""


def what_if(book: OrderBook, contract: Any, order: Any, base: str) -> MarginPreview:
    """Return what the gateway says an order would do to the account, in base currency.

    An amount that it does not say is None; a refusal is an answer, with IB's words.
    """
    said = "no answer"
    for _ in range(TRIES):
        state, words, refused = _ask(book, contract, order)
        answer = MarginPreview(asked=True) if state is None else _read(state, base)
        if answer.initial_margin_after is not None:
            return replace(answer, message=" ".join(filter(None, (answer.message, words))))
        said = words or answer.message or "the answer has no amounts"
        if refused:
            break
    return MarginPreview(asked=True, message=f"the margin is unknown: {said}")


def _ask(book: OrderBook, contract: Any, order: Any) -> tuple[Any, str, bool]:
    """Return the order state under the request's own id (None: none), words, and if refused."""
    asked = copy.copy(order)
    asked.whatIf = True
    asked.orderId = 0
    ib = book.line.ib
    number = ib.client.getReqId()
    errors = book.what_if_errors[number] = []

    def ask() -> Awaitable[Any]:
        future: Awaitable[Any] = ib.wrapper.startReq(number, contract)
        ib.client.placeOrder(number, contract, asked)
        return future

    words, refused = "", False
    try:
        book.line.ask("the margin preview", ask, SECONDS)
        refused = bool(errors)  # the request ended with them
    except RequestFailed as error:
        words, refused = str(error), True
    except BlindError as error:
        book.require()  # a broken wire is another matter than a silent one
        words = str(error)
    del book.what_if_errors[number]
    return book.what_ifs.pop(number, None), "; ".join(errors) or words, refused


def _read(state: Any, base: str) -> MarginPreview:
    currency = str(state.commissionCurrency or "")
    told = (state.commission, state.maxCommission)
    amounts = (amount_or_none(each) for each in told)
    commission = next((each for each in amounts if each is not None), None)
    words = str(state.warningText or "")
    if commission is not None and currency and currency != base:
        words = f"{words} commission {commission} {currency}".strip()
        commission = None
    return MarginPreview(
        asked=True,
        initial_margin_after=_positive(state.initMarginAfter),
        equity_with_loan_after=amount_or_none(state.equityWithLoanAfter),
        commission=commission,
        message=words,
    )


def _positive(text: object) -> Decimal | None:
    amount = amount_or_none(text)
    return amount if amount is not None and amount >= 0 else None
