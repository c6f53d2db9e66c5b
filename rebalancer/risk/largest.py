"""The largest order that the gates about size let through, for what is sold off in chunks."""

from __future__ import annotations

from decimal import Decimal

from rebalancer.model.account import AccountSnapshot
from rebalancer.model.instrument import Instrument
from rebalancer.model.market import Quote
from rebalancer.model.orders import OrderIntent
from rebalancer.risk.candidates import unit
from rebalancer.risk.parameters import Limits


def largest_order(
    intent: OrderIntent,
    instrument: Instrument,
    quote: Quote | None,
    account: AccountSnapshot,
    limits: Limits,
) -> Decimal | None:
    """Return how many units one order like `intent` may have (no sign, any fraction).

    The bound of the gates `size`, `participation`, `grid` and `venue-notional` together, None
    where nothing bounds it. Where something is unknown the bound leaves it out: the gate refuses
    the order.
    """
    bounds = [] if instrument.rules.max_size is None else [instrument.rules.max_size]
    value, rates = account.net_liquidation, account.rates
    price = max(abs(intent.limit), abs(intent.reference_price))
    if value.is_finite() and price and rates.knows(instrument.currency):
        worth = value * limits.max_order_weight
        if limits.max_order_notional is not None:
            worth = min(worth, limits.max_order_notional)
        bounds.append(worth / (price * unit(instrument) * rates.rate(instrument.currency)))
    most = instrument.rules.max_notional
    if most is not None and intent.limit:
        bounds.append(most / (abs(intent.limit) * unit(instrument)))
    volume = None if quote is None else quote.average_volume
    if volume is not None and volume.is_finite() and volume >= 0:
        bounds.append(limits.max_participation * volume)
    return min(bounds, default=None)
