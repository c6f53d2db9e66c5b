"""What holds for whole runs, whatever is wanted: from signal files to the venue's own books."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from functools import cached_property
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from rebalancer.brokers.paper import PaperBroker
from rebalancer.hourly import hour
from rebalancer.model.instrument import Instrument
from rebalancer.model.orders import Action, PlanLine
from rebalancer.model.plan import UNCHANGED, Why
from rebalancer.model.records import Outcome, RunRecord
from rebalancer.simulators.market import RecordedMarket
from rebalancer.simulators.recording import recording
from tests.portfolios import FIRST, HOUR, QUIET, World, codes, make_world, stock

SYMBOLS = ("AAPL", "AMD", "BAC", "JNJ", "KO")
WHOLE_RUNS = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)

weights = st.integers(0, 100).map(lambda n: Decimal(n) / 100)
signed = st.integers(-60, 60).map(lambda n: Decimal(n) / 100)


@dataclass(frozen=True)
class Rules:
    """The limits that are drawn; the money is 100,000 USD."""

    max_order_weight: Decimal
    max_position_weight: Decimal
    max_gross_leverage: Decimal
    max_turnover_per_session: Decimal
    max_orders_per_run: int
    cash_reserve: Decimal
    band_relative: Decimal

    def risk(self) -> str:
        bounds = ("max_gross_leverage", "max_turnover_per_session", "max_orders_per_run")
        lines = [f"{name} = {getattr(self, name)}" for name in bounds]
        return "\n".join((*lines, f"max_net_leverage = {self.max_gross_leverage}"))


def hundredths(low: int, high: int) -> st.SearchStrategy[Decimal]:
    return st.integers(low, high).map(lambda n: Decimal(n) / 100)


rules = st.builds(
    Rules,
    max_order_weight=hundredths(3, 40),
    max_position_weight=hundredths(5, 60),
    max_gross_leverage=hundredths(30, 150),
    max_turnover_per_session=hundredths(20, 250),
    max_orders_per_run=st.integers(1, 6),
    cash_reserve=hundredths(0, 30),
    band_relative=hundredths(0, 20),
)


@contextmanager
def a_world(drawn: Rules, planning: str = "", *, short: bool = False) -> Iterator[World]:
    """Give a portfolio of five stocks in a folder of its own."""
    allowed = f"allow_short = {str(short).lower()}\n"
    plan = (
        f"\n[planning]\n{allowed}cash_reserve = {drawn.cash_reserve}\n"
        f"band_relative = {drawn.band_relative}\nband_absolute = 0\n"
        f"leverage_cap = {min(drawn.max_gross_leverage, Decimal(1))}\n{planning}"
    )
    with tempfile.TemporaryDirectory() as folder:
        world = make_world(
            Path(folder), symbols=SYMBOLS, risk=drawn.risk() + "\n" + allowed, extra=plan + QUIET
        )
        text = world.path.read_text(encoding="utf-8")
        for name in ("max_order_weight", "max_position_weight"):
            before = next(line for line in text.splitlines() if line.startswith(name))
            text = text.replace(before, f"{name} = {getattr(drawn, name)}")
        world.path.write_text(text, encoding="utf-8")
        yield world


def want(world: World, wishes: Sequence[Decimal], at: datetime) -> None:
    """Want these weights, scaled to what the sleeve may ask for."""
    gross = max(sum((abs(wish) for wish in wishes), Decimal(0)), Decimal(1))
    scaled = ((wish / gross).quantize(Decimal("1e-6"), ROUND_DOWN) for wish in wishes)
    world.wants({s: f"{w:f}" for s, w in zip(SYMBOLS, scaled, strict=True)}, at)


def is_said(line: PlanLine, reasons: Sequence[Why] | frozenset[Why]) -> bool:
    return any(line.reason.startswith(why.sentence) for why in reasons)


def check_whole(record: RunRecord, world: World) -> None:
    """Every instrument has an order, a skip with its reason, or is where it should be."""
    universe = {stock(symbol) for symbol in SYMBOLS}
    orders = [line for line in record.lines if line.action is not Action.NOTHING]
    idle = [line for line in record.lines if line.action is Action.NOTHING]
    unchanged = [line for line in idle if is_said(line, UNCHANGED)]
    skipped = [line for line in idle if is_said(line, tuple(set(Why) - UNCHANGED - {Why.ORDER}))]
    wanted = {str(line.instrument) for line in orders}
    assert len(unchanged) + len(skipped) == len(idle)
    assert len(wanted) + len(unchanged) + len(skipped) == len(universe)
    assert wanted | {str(line.instrument) for line in idle} == universe
    # Each wanted order was approved or refused, each approved one is at the venue, no other is.
    decided = [o.intent for o in record.approved] + [o.intent for o in record.refused]
    found = sorted((str(i.instrument), abs(i.quantity), i.limit) for i in decided)
    assert found == sorted((str(o.instrument), o.quantity, o.limit) for o in orders)
    sent = {order.reference for order in record.orders}
    assert sent == {order.reference for order in record.approved}
    assert sent <= set(world.references())
    assert max(world.references().values(), default=1) == 1


def check_limits(record: RunRecord, drawn: Rules, world: World) -> None:
    """Nothing that was sent exceeds a limit, singly or together."""
    assert record.before is not None
    assert record.after is not None
    value = record.before.net_liquidation
    held = {p.instrument: p.quantity for p in record.before.positions}
    prices = {line.instrument: line.reference_price for line in record.lines}
    opens = any(not order.reduce_only for order in record.approved)
    half = 1 if opens else Decimal("1.5")
    assert len(record.approved) <= drawn.max_orders_per_run * half
    for order in record.approved:
        notional = abs(order.quantity * order.intent.limit)
        assert notional <= drawn.max_order_weight * value * Decimal("1.001")
    for name in {order.instrument for order in record.approved}:
        price = prices[name]
        assert price is not None
        change = sum((o.quantity for o in record.approved if o.instrument == name), Decimal(0))
        before, after = held.get(name, Decimal(0)), held.get(name, Decimal(0)) + change
        grows = abs(after) > abs(before)
        assert not grows or abs(after) * price <= drawn.max_position_weight * value * Decimal(
            "1.001"
        )
    if all(order.intent.reducing for order in record.approved):
        return  # what only gets smaller may be beyond what the orders share
    after_value = record.after.net_liquidation
    gross = sum((abs(p.value or Decimal(0)) for p in record.after.positions), Decimal(0))
    # Prices move while orders are worked: a thousandth of room.
    assert gross <= drawn.max_gross_leverage * after_value * Decimal("1.001")
    trades = world.venue()["executions"]  # of one session
    turned = sum(abs(Decimal(t["quantity"]) * Decimal(t["price"])) for t in trades)
    assert turned <= drawn.max_turnover_per_session * value * Decimal("1.001")


def check_cash(record: RunRecord, drawn: Rules) -> None:
    """Nothing was bought with the reserve: where less was there, it did not become less."""
    assert record.before is not None
    assert record.after is not None
    reserve = drawn.cash_reserve * record.before.net_liquidation
    before, after = record.before.cash["USD"], record.after.cash["USD"]
    assert after >= min(before, reserve)


@WHOLE_RUNS
@given(drawn=rules, first=st.tuples(*[weights] * 5), second=st.tuples(*[weights] * 5))
def test_orders_are_whole_within_limits_and_above_the_reserve(
    drawn: Rules, first: tuple[Decimal, ...], second: tuple[Decimal, ...]
) -> None:
    with a_world(drawn) as world:
        for place, wishes in enumerate((first, second)):
            at = FIRST + place * HOUR
            want(world, wishes, at)
            record = world.hour(at)
            assert record.outcome is Outcome.FINISHED
            check_whole(record, world)
            check_limits(record, drawn, world)
            check_cash(record, drawn)
            assert all(quantity > 0 for quantity in world.holdings().values())


@WHOLE_RUNS
@given(drawn=rules, first=st.tuples(*[signed] * 5), second=st.tuples(*[signed] * 5))
def test_shorts_and_reversals_are_whole_and_within_limits(
    drawn: Rules, first: tuple[Decimal, ...], second: tuple[Decimal, ...]
) -> None:
    with a_world(drawn, short=True) as world:
        for place, wishes in enumerate((first, second)):
            at = FIRST + place * HOUR
            want(world, wishes, at)
            record = world.hour(at)
            assert record.outcome is Outcome.FINISHED
            check_whole(record, world)
            check_limits(record, drawn, world)


# ------------------------------------------------------------------ the same prices again


class StillMarket(RecordedMarket):
    """A market whose prices stay where they were in the first run."""

    def mark(self, instrument: Instrument, at: datetime) -> Decimal | None:
        return super().mark(instrument, FIRST)


class StillBroker(PaperBroker):
    """The way to a venue with that market."""

    @cached_property
    def market(self) -> RecordedMarket:
        recorded = recording(self.settings.recording)
        return StillMarket(recorded, self.sessions, self.settings, self.base)


def still_hour(world: World, at: datetime) -> RunRecord:
    desk = world.desk(at)
    broker = desk.broker
    assert isinstance(broker, PaperBroker)
    parts = {field.name: getattr(broker, field.name) for field in fields(broker)}
    return hour(replace(desk, broker=StillBroker(**parts)), at)


@WHOLE_RUNS
@given(
    wishes=st.tuples(*[signed] * 5),
    band=hundredths(0, 20),
    style=st.sampled_from(["target", "edge", "cheaper"]),
)
def test_a_second_run_at_the_same_prices_sends_nothing(
    wishes: tuple[Decimal, ...], band: Decimal, style: str
) -> None:
    # A fixed sizing capital below net liquidation: what the trades cost changes no target.
    drawn = Rules(*(Decimal(10), Decimal(10), Decimal(3), Decimal(10)), 100, Decimal(0), band)
    planning = f'capital_max = 50000\nband_rule = "{style}"\n'
    with a_world(drawn, planning, short=True) as world:
        text = world.path.read_text(encoding="utf-8")
        world.path.write_text(text.replace("[paper]", "[paper]\ndepth = 1000000"), encoding="utf-8")
        want(world, wishes, FIRST)
        first = still_hour(world, FIRST)
        assert not first.refused
        assert not [flag for flag in first.flags if flag.code != "leverage-capped"]
        sent = len(world.venue()["orders"])
        held = world.holdings()
        assert sent == len(first.approved)
        assert sent or all(abs(wish) < Decimal("0.1") for wish in wishes)
        second = still_hour(world, FIRST + HOUR)
        assert second.outcome is Outcome.FINISHED
        assert codes(second) <= {"leverage-capped"}
        assert len(world.venue()["orders"]) == sent
        assert world.holdings() == held
        assert all(is_said(line, UNCHANGED) for line in second.lines)
