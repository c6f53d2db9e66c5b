"""Answers that are whole, end properly, and are not true."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rebalancer.simulators.ib_gateway.faults import Do, WireFault
from rebalancer.simulators.past import has_changed, shown_as_of

if TYPE_CHECKING:
    from rebalancer.simulators.ib_gateway.gateway import Gateway
    from rebalancer.simulators.ib_gateway.tap import Asked, Message, Tap

ROWS = frozenset({"position", "portfolioValue", "positionMulti"})
"""Messages that tell of one position each."""

_OTHER_ID = 1_000_000
"""How far the second permId of an order is from its own."""


def would_show(gateway: Gateway, fault: WireFault) -> bool:
    """Return whether a lie about positions would be another than the truth."""
    account, exchange = gateway.exchange.account, gateway.exchange
    if fault.do is Do.NO_ROWS:
        return any(each.quantity for each in account.holdings.values())
    if fault.do in (Do.OLD_ROWS, Do.OLD_ACCOUNT):
        at = exchange.now - timedelta(seconds=fault.seconds)
        return has_changed(account, exchange.instruments, at)
    return True


def no_rows(tap: Tap, _fault: WireFault, asked: Asked) -> None:
    """Answer without a position, to the end."""
    _say(tap, [each for each in tap.answer_to(asked) if each[0] not in ROWS])


def old_rows(tap: Tap, fault: WireFault, asked: Asked) -> None:
    """Answer with the positions of some time ago, all else as it is."""
    told = [each for each in tap.answer_to(asked) if each[0] not in ROWS]
    then = [each for each in _as_of(tap, fault, asked, cash_too=False) if each[0] in ROWS]
    ends = [each for each in told if each[0].endswith("End")]
    _say(tap, [*(each for each in told if each not in ends), *then, *ends])


def old_account(tap: Tap, fault: WireFault, asked: Asked) -> None:
    """Answer as some time ago: all of it adds up."""
    _say(tap, _as_of(tap, fault, asked, cash_too=True))


def inactive(tap: Tap, fault: WireFault, asked: Asked) -> None:
    """Take an order; its first word of life will be Inactive, and some time later what it is."""
    tap.orders.inactive[asked.number] = fault.seconds
    tap.run(asked)


def second_id(tap: Tap, _fault: WireFault, asked: Asked) -> None:
    """Take an order; its first news have a permId that it will not keep."""
    tap.orders.renumbered[asked.number] = {"openOrder", "orderStatus"}
    tap.run(asked)


class OrderLies:
    """What one connection is told of some orders, by their numbers, that is not so."""

    def __init__(self) -> None:
        self.inactive: dict[int, float] = {}
        self.renumbered: dict[int, set[str]] = {}
        self._truth: dict[int, Mapping[str, Any]] = {}

    def message(
        self, tap: Tap, number: int, name: str, values: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Return what is said of an order instead."""
        if name in self.renumbered.get(number, ()):
            self.renumbered[number].discard(name)
            values = _other_id(values)
        if name != "orderStatus":
            return values
        if number in self._truth:
            self._truth[number] = values
        elif number in self.inactive and values["status"] in ("PreSubmitted", "Submitted"):
            self._truth[number] = values
            tap.later(self.inactive[number], lambda: tap.say(name, self._truth[number]))
            return {**values, "status": "Inactive"}
        return values


def _other_id(values: Mapping[str, Any]) -> Mapping[str, Any]:
    number = values.get("permId")
    return values if not number else {**values, "permId": int(number) + _OTHER_ID}


def _as_of(tap: Tap, fault: WireFault, asked: Asked, *, cash_too: bool) -> list[Message]:
    exchange = tap.gateway.exchange
    at = exchange.now - timedelta(seconds=fault.seconds)
    with shown_as_of(exchange.account, exchange.instruments, at, cash_too=cash_too):
        return tap.answer_to(asked)


def _say(tap: Tap, messages: list[Message]) -> None:
    for name, values in messages:
        tap.say(name, values)
