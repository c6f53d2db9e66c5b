"""What must fit together between a portfolio's file and the venue that it trades at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rebalancer.config.sections import VenueName
from rebalancer.config.values import Problems
from rebalancer.model.instrument import Instrument, Kind
from rebalancer.model.orders import TimeInForce
from rebalancer.model.records import Mode
from rebalancer.simulators.parameters import Transport

Section = Mapping[str, Any]


def check_venue(
    values: Mapping[str, Section], instruments: Sequence[Instrument], problems: Problems
) -> None:
    """Note what the venue does not trade, or not together, and what it does not know."""
    _venue(values["account"].get("venue"), instruments, problems)
    _no_currency_pairs(instruments, problems)
    _binance(values, instruments, problems)


def _venue(venue: VenueName | None, instruments: Sequence[Instrument], problems: Problems) -> None:
    """One account trades at one venue; a simulated one plays either, not both."""
    venues = sorted({instrument.venue for instrument in instruments})
    wanted = {VenueName.IB: "IB", VenueName.BINANCE: "BINANCE"}.get(venue or VenueName.SIMULATED)
    strange = [name for name in venues if wanted is not None and name != wanted]
    if strange or len(venues) > 1:
        problems.add(
            "sleeve.universe",
            ", ".join(f"@{name}" for name in venues),
            "an account trades at one venue",
            f"here @{wanted}" if wanted else "make a portfolio for each",
        )


def _binance(
    values: Mapping[str, Section], instruments: Sequence[Instrument], problems: Problems
) -> None:
    """Note what an account at Binance, or a simulated one, cannot be."""
    account, mode = values["account"], values["portfolio"].get("mode")
    demo = values["binance"].get("demo", False)
    if account.get("venue") is VenueName.BINANCE:
        if mode is Mode.LIVE and demo:
            problems.add("binance.demo", True, "made-up money is never live", "mode = paper")
        if mode is Mode.PAPER and not demo:
            problems.add(
                "portfolio.mode",
                "paper",
                "is not for a live account",
                'binance.demo = true for the exchange\'s demo, venue = "simulated" for ours',
            )
    if not instruments or any(each.venue != "BINANCE" for each in instruments):
        return
    if account.get("id") and not account["id"].isdigit():
        problems.add("account.id", account["id"], "must be the account's uid, a number")
    kinds = sorted({each.kind.value for each in instruments})
    if len(kinds) > 1:
        problems.add(
            "sleeve.universe",
            ", ".join(kinds),
            "one portfolio trades spot or perpetuals, not both",
            "they are two wallets: make a file for each",
        )
    _one_quote(instruments, problems)
    _ends(values["planning"].get("time_in_force"), instruments, problems)
    calendar = values["portfolio"].get("calendar")
    if calendar is not None and calendar != "24/7":
        problems.add("portfolio.calendar", calendar, "Binance never closes", 'write "24/7"')
    if values["paper"].get("transport") is Transport.ENGINE:
        problems.add(
            "paper.transport",
            "engine",
            "there is no Binance without its protocol",
            "choose socket | memory",
        )


def _no_currency_pairs(instruments: Sequence[Instrument], problems: Problems) -> None:
    """Refuse what would be bought every hour anew: what a pair buys is cash, no position."""
    for each in instruments:
        if each.kind is Kind.FOREX:
            problems.add(
                "sleeve.universe",
                each.id,
                "a currency pair is no holding: what it buys is cash, and no target is ever met",
                "leave it out and exchange currencies yourself; rates need no pair",
            )


def _one_quote(instruments: Sequence[Instrument], problems: Problems) -> None:
    """Refuse spot pairs of several quote currencies: coins are booked by one pair each.

    A fee in BNB, or what another pair is paid with, would be booked on a pair that is not there.
    """
    quotes = sorted({each.currency for each in instruments if each.kind is Kind.SPOT})
    if len(quotes) > 1:
        problems.add(
            "sleeve.universe",
            ", ".join(quotes),
            "spot pairs must have one quote currency: a coin could not be told apart by its pair",
            "keep the pairs of one of them",
        )


def _ends(force: TimeInForce | None, instruments: Sequence[Instrument], problems: Problems) -> None:
    """Refuse an order that should end by itself and that Binance would not end."""
    spot = all(each.kind is Kind.SPOT for each in instruments)
    known = {TimeInForce.GTC, TimeInForce.IOC} | (set() if spot else {TimeInForce.GTD})
    if force is not None and force not in known:
        problems.add(
            "planning.time_in_force",
            force.value,
            f"is not known at Binance {'spot' if spot else ''}".rstrip(),
            f"choose {' | '.join(sorted(known))}",
        )
