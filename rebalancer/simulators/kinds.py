"""What a trade of each kind of instrument moves: a position, two assets, or only its profit."""

from __future__ import annotations

from rebalancer.model.instrument import Instrument, Kind


def is_pair(instrument: Instrument) -> bool:
    """Return whether a trade exchanges one asset of the account for another, without a position."""
    return instrument.kind in (Kind.FOREX, Kind.SPOT)


def is_margined(instrument: Instrument) -> bool:
    """Return whether a trade moves no cash but its fee and the profit it realises."""
    return instrument.kind in (Kind.PERPETUAL, Kind.FUTURE)


def is_crypto(instrument: Instrument) -> bool:
    """Return whether it trades where every trade comes with its fee, and no hour is closed."""
    return instrument.kind in (Kind.PERPETUAL, Kind.SPOT)


def base_asset(instrument: Instrument) -> str:
    """Return the asset that a purchase of a pair brings: BTC for BTCUSDT, EUR for EUR.USD."""
    if instrument.kind is Kind.FOREX:
        return instrument.symbol
    return instrument.symbol.removesuffix(instrument.currency)
