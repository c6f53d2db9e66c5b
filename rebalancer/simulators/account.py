"""A new simulated account, and the instruments a simulated venue knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from rebalancer.errors import DataError
from rebalancer.model.instrument import Instrument, InstrumentId, Kind, parse_instrument_id
from rebalancer.simulators.booking import add
from rebalancer.simulators.books import SCHEMA, Account, Holding
from rebalancer.simulators.kinds import base_asset
from rebalancer.simulators.market import Market
from rebalancer.simulators.parameters import PaperSettings
from rebalancer.simulators.worth import Valuer

DEFAULT_CASH = Decimal(100_000)


def known_instruments(
    market: Market, configured: Sequence[Instrument]
) -> Mapping[InstrumentId, Instrument]:
    """Return every instrument the venue knows: those of the recording, and the configured ones.

    What an account holds stays known when its owner takes it out of the configuration.
    """
    known = {each.id: each for each in market.listed()}
    return known | {each.id: each for each in configured}


def new_account(
    account: str,
    base: str,
    settings: PaperSettings,
    market: Market,
    instruments: Mapping[InstrumentId, Instrument],
) -> Account:
    """Return an account as it opens at `settings.start`.

    Raises `DataError` naming the key when something in it cannot be valued.
    """
    cash = dict(sorted(settings.cash.items())) or {base: DEFAULT_CASH}
    valuer = Valuer(market, instruments, settings, base)
    for currency in cash:
        known = valuer.rate(currency) or valuer.pair_price(currency, settings.start)
        if known is None:
            raise DataError(f"paper.cash.{currency}: paper.fx has no rate for {currency}")
    holdings = {}
    for text, quantity in sorted(settings.positions.items()):
        key = f"paper.positions.{text} = {quantity}"
        identifier = parse_instrument_id(text)
        instrument = instruments.get(identifier)
        price = None if instrument is None else market.mark(instrument, settings.start)
        if instrument is None or price is None or instrument.kind is Kind.FOREX:
            raise DataError(f"{key}: it has no price in recording {market.name}")
        if valuer.rate(instrument.currency) is None:
            raise DataError(f"{key}: paper.fx has no rate for {instrument.currency}")
        if quantity and instrument.kind is Kind.SPOT:
            add(cash, base_asset(instrument), quantity)
        elif quantity:
            holdings[identifier] = Holding(quantity, price)
    return Account(
        schema=SCHEMA,
        account=account,
        base=base,
        seed=settings.seed,
        now=settings.start,
        cash=dict(cash),
        carried_cash=dict(cash),
        carried_positions={name: each.quantity for name, each in holdings.items()},
        holdings=holdings,
    )
