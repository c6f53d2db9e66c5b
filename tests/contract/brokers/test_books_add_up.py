"""Whatever is asked of a venue, its books add up to the cent."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rebalancer.model.instrument import Instrument, Kind
from rebalancer.model.orders import OrderType, Place, TimeInForce
from rebalancer.model.rules import PriceLevel, TradingRules
from rebalancer.model.universe import Universe
from rebalancer.simulators.faults import Fault, FaultKind
from tests.contract.brokers.rig import (
    AAPL,
    KO,
    MSFT,
    SLOT,
    PageOf,
    Rig,
    bid,
    listen,
    paper_rig,
)

EUR = Instrument(
    "EUR.USD.FX@IB",  # type: ignore[arg-type]
    Kind.FOREX,
    "EUR",
    "USD",
    "XNYS",
    TradingRules(price_levels=(PriceLevel(Decimal(0), Decimal("0.0001")),)),
)
ENGINE_FAULTS = [
    FaultKind.REJECT,
    FaultKind.LOST_ORDER,
    FaultKind.LOST_ACKNOWLEDGEMENT,
    FaultKind.LATE_ACKNOWLEDGEMENT,
    FaultKind.LATE_CANCEL,
    FaultKind.REFUSED_CANCEL,
    FaultKind.LOST_CANCEL,
    FaultKind.PARTIAL_ONLY,
    FaultKind.LATE_COMMISSION,
    FaultKind.MISSING_COMMISSION,
]

orders = st.tuples(
    st.just("order"),
    st.sampled_from([AAPL, MSFT, KO, EUR]),
    st.sampled_from([-500, -70, -1, 1, 70, 500]),
    st.sampled_from([-40, -2, 0, 3, 20, 100]),  # ticks willing to pay beyond the bid
    st.sampled_from(list(OrderType)),
    st.sampled_from([TimeInForce.DAY, TimeInForce.IOC, TimeInForce.GTC]),
    st.sampled_from([False, False, True]),
    st.sampled_from([0, 2, 90, 4000]),  # seconds to listen afterwards
)
waits = st.tuples(st.just("wait"), st.integers(1, 5000))
cancels = st.tuples(st.just("cancel"), st.integers(0, 9))
runs = st.tuples(st.just("next run"), st.integers(1, 72))
faults = st.lists(
    st.builds(
        Fault,
        kind=st.sampled_from(ENGINE_FAULTS),
        nth=st.integers(1, 4),
        count=st.integers(1, 3),
        seconds=st.integers(0, 5000).map(float),
    ),
    max_size=3,
)


def play(rig: Rig, script: list[tuple[Any, ...]], broken: list[Fault]) -> None:
    """Do what the script says; a "next run" is a new connection some hours later."""
    changes = {
        "universe": Universe((AAPL, MSFT, KO, EUR)),
        "settings": {
            "depth": Decimal(150),
            "cash": {"USD": Decimal(80_000), "EUR": Decimal(5_000)},
            "fx": {"EUR": Decimal("1.1021")},
            "positions": {KO.id: Decimal(200)},
        },
    }
    slot = SLOT
    script = [*script, ("next run", 1)]
    while script:
        with rig.broker(*broken, **changes).connect(PageOf(slot, attempt=2)) as venue:
            hands = rig.hands(venue)
            while script:
                what, *how = script.pop(0)
                if what == "next run":
                    slot = venue.now() + timedelta(hours=how[0])
                    break
                if what == "wait":
                    listen(venue, how[0])
                elif what == "cancel":
                    for order in venue.open_orders()[how[0] : how[0] + 1]:
                        hands.cancel(order)
                else:
                    hands.submit([order_of(rig, bid(venue, how[0]), *how[:-1])])
                    listen(venue, how[-1])


def order_of(
    rig: Rig,
    price: Decimal,
    instrument: Instrument,
    quantity: int,
    ticks: int,
    order_type: OrderType,
    time_in_force: TimeInForce,
    reduce_only: bool,
) -> Place:
    tick = instrument.rules.price_step(price)
    return Place(
        reference=rig.reference(instrument),
        instrument=instrument.id,
        quantity=Decimal(quantity),
        limit=None
        if order_type is OrderType.MARKET
        else price + (ticks if quantity > 0 else -ticks) * tick,
        order_type=order_type,
        time_in_force=time_in_force,
        reduce_only=reduce_only,
        good_till=None,
    )


@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    script=st.lists(st.one_of(orders, orders, waits, cancels, runs), min_size=9, max_size=16),
    broken=faults,
)
def test_cash_and_positions_are_the_sum_of_their_trades(
    script: list[tuple[Any, ...]], broken: list[Fault], adds_up: Callable[[Path], None]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rig = paper_rig(Path(folder))
        play(rig, script, broken)
        adds_up(rig.folder)
