"""The order file of one hour: signals, holdings and prices in, a `Plan` out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

import numpy as np

from rebalancer.model.account import AccountSnapshot
from rebalancer.model.fees import FeeSchedule
from rebalancer.model.flag_table import FLAG_TABLE
from rebalancer.model.flags import RUN, ErrorFlag, Step
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.market import MarketSnapshot
from rebalancer.model.orders import OrderIntent
from rebalancer.model.plan import FREE, Plan, PlanColumns, Restraints, Why, price_of, units
from rebalancer.model.signals import Coverage, Signal
from rebalancer.model.universe import Sleeve, Universe
from rebalancer.planning.blend import Blend, Part, blend
from rebalancer.planning.columns import Floats, compile_universe
from rebalancer.planning.decide import Decision, decide
from rebalancer.planning.funding import purse
from rebalancer.planning.live import LiveColumns, read_live
from rebalancer.planning.parameters import BandRule, PlanParameters
from rebalancer.planning.restraints import compile_restraints
from rebalancer.planning.sizing import Capital, sizing_capital

_FINER = 6
"""Lots of a sleeve that shares an instrument are remembered to this many more decimals."""


def plan_rebalance(  # noqa: PLR0913 - everything a plan depends on, by name
    universe: Universe,
    sleeves: Sequence[Sleeve],
    signals: Mapping[str, Signal],
    sleeve_lots: Mapping[str, Mapping[InstrumentId, Decimal]],
    account: AccountSnapshot,
    market: MarketSnapshot,
    parameters: PlanParameters,
    fees: FeeSchedule,
    *,
    now: datetime,
    turnover_used: Decimal = Decimal(0),
    rates_since: datetime | None = None,
    allow_delayed: bool = False,
    restraints: Restraints = FREE,
) -> Plan:
    """Return what is wanted for every instrument of the universe, with its reason.

    `signals` has the valid ones by sleeve name; a sleeve without one keeps its lots of
    `sleeve_lots` (units), and without those its instruments are held. `turnover_used` is
    the session's traded notional so far in base currency. Rates older than `rates_since`
    stop buys in their currency. Delayed quotes are no quotes unless `allow_delayed`.
    `restraints` bound single instruments. Orders come in sequence; flags say what was held back
    and why. Raises `DataError` for a sleeve whose instruments the universe does not have.
    """
    rules = compile_universe(universe)
    live = read_live(rules, account, market, now, rates_since, allow_delayed=allow_delayed)
    bound = compile_restraints(live.rules, restraints)
    blended = bound.kept(blend(live.rules, sleeves, signals, sleeve_lots))
    capital = sizing_capital(account, universe.index, parameters)
    if capital.sizing <= 0:
        return _nothing(live, account, capital, now)
    spendable = purse(account, live, capital, parameters)
    decision = decide(live, blended, capital, spendable, parameters, fees, turnover_used, bound)
    columns, orders = _columns(live, decision), _orders(live, decision, parameters, market)
    return Plan(
        at=now,
        net_liquidation=account.net_liquidation,
        capital=capital.sizing,
        orders=orders,
        flags=_flags(live, blended, decision, capital),
        band_costs=decision.costs,
        sleeve_lots=_lots(live, blended, decision, capital, sleeves, signals, sleeve_lots),
        columns=columns,
    )


def _columns(live: LiveColumns, decision: Decision) -> PlanColumns:
    count, rules, orders = len(live.held), live.rules, decision.orders
    delta, limit = np.zeros(count, np.int64), np.zeros(count, np.int64)
    sequence = np.full(count, -1, np.int64)
    np.add.at(delta, orders.row, orders.quantity)
    # A row's first order speaks for it: written last.
    limit[orders.row[::-1]] = orders.limit[::-1]
    sequence[orders.row[::-1]] = np.arange(1, len(orders.row) + 1)[::-1]
    return PlanColumns(
        ids=rules.universe.ids,
        size_digits=rules.size_digits,
        price_digits=rules.price_digits,
        held=live.held,
        target=decision.wish.size,
        targeted=~np.isnan(decision.wish.exact) & decision.wish.in_range,
        known=live.known,
        reference=live.reference,
        age=live.age,
        current_weight=decision.band.current,
        target_weight=decision.wish.weight,
        delta=delta,
        limit=limit,
        sequence=sequence,
        why=decision.why,
    )


def _orders(
    live: LiveColumns, decision: Decision, parameters: PlanParameters, market: MarketSnapshot
) -> tuple[OrderIntent, ...]:
    orders, rules, wish, band = decision.orders, live.rules, decision.wish, decision.band
    row = orders.row
    made = []
    for n, (at, quantity, limit, reducing, part, notional, fee, cut, *more) in enumerate(
        zip(
            row.tolist(), orders.quantity.tolist(), orders.limit.tolist(),
            orders.reducing.tolist(), orders.part.tolist(), orders.notional.tolist(),
            orders.fee.tolist(), orders.cut.tolist(), rules.size_digits[row].tolist(),
            rules.price_digits[row].tolist(), live.held[row].tolist(), wish.size[row].tolist(),
            band.current[row].tolist(), wish.weight[row].tolist(), band.width[row].tolist(),
            decision.refused[row].tolist(), live.reference[row].tolist(), strict=True,
        ),
        1,
    ):  # fmt: skip
        digits, price_digits, held, target, current, aim, width, refused, reference = more
        instrument = rules.universe.instruments[at]
        made.append(
            OrderIntent(
                instrument=instrument.id,
                quantity=units(quantity, digits),
                limit=price_of(limit, price_digits),
                order_type=parameters.order_type,
                time_in_force=parameters.time_in_force,
                currency=instrument.currency,
                reference_price=price_of(reference, price_digits),
                reference_at=market.quotes[instrument.id].at,
                current_quantity=units(held, digits),
                target_quantity=units(target, digits),
                current_weight=current,
                target_weight=aim,
                notional=notional,
                fee=fee,
                reducing=reducing,
                wave=0 if reducing else 1,
                sequence=n,
                reason=_why_ordered(
                    current, aim, width, decision.rule, cut or refused, instrument.leaving
                ),
                part=part,
            )
        )
    return tuple(made)


def _why_ordered(
    current: float, target: float, width: float, rule: BandRule, less: int, leaving: str
) -> str:
    """Return an order's reason: weights in percent of sizing capital, band, what was cut."""
    if leaving:
        beyond = f"closed whatever the signals say, because {leaving}"
    elif width:
        beyond = f"outside the band of {width * 100:.2f} %, to its {_GOAL[rule]}"
    else:
        beyond = "wanted at zero" if target == 0 else "to target"
    text = f"weight {current * 100:.2f} %, wanted {target * 100:.2f} %: {beyond}"
    return f"{text}; less than wished: {Why(less).sentence}" if less else text


_GOAL = {BandRule.TARGET: "target", BandRule.EDGE: "edge"}


def _lots(
    live: LiveColumns,
    blended: Blend,
    decision: Decision,
    capital: Capital,
    sleeves: Sequence[Sleeve],
    signals: Mapping[str, Signal],
    remembered: Mapping[str, Mapping[InstrumentId, Decimal]],
) -> dict[str, dict[InstrumentId, Decimal]]:
    """Return, in units, what each sleeve with a signal wants; what cannot be sized keeps memory."""
    answer: dict[str, dict[InstrumentId, Decimal]] = {}
    parts: dict[str, list[Part]] = {}
    for part in blended.parts:
        parts.setdefault(part.sleeve, []).append(part)
    nothing = Decimal(0)
    for sleeve in sleeves:
        signal, memory = signals.get(sleeve.name), remembered.get(sleeve.name, {})
        if signal is None:
            continue
        lots: dict[InstrumentId, Decimal] = {}
        if signal.coverage is Coverage.COMPLETE:
            lots = dict.fromkeys(sleeve.universe, nothing)
        for part in parts[sleeve.name]:
            if part.scaled:
                _sized(live, blended, decision, capital, part, memory, lots)
            else:
                names = (live.rules.universe.ids[row] for row in part.rows.tolist())
                lots.update(zip(names, part.values, strict=True))
        answer[sleeve.name] = lots
    return answer


def _sized(
    live: LiveColumns,
    blended: Blend,
    decision: Decision,
    capital: Capital,
    part: Part,
    memory: Mapping[InstrumentId, Decimal],
    lots: dict[InstrumentId, Decimal],
) -> None:
    """Put the sizes of one sleeve's signal into `lots`: whole lots where it is alone."""
    rows, factor = part.rows, float(decision.scale.factor)
    if part.in_lots:
        sizes: Floats = part.amounts * factor
    else:
        exposure = np.where(live.known, live.exposure, np.nan)[rows]
        worth = part.amounts * factor * float(capital.sizing)
        sizes = np.where(part.amounts == 0, 0.0, worth / exposure)
    alone = (blended.sleeves[rows] == 1) & live.known[rows] & decision.wish.in_range[rows]
    alone &= ~blended.untraded[rows]  # what the sleeve wants, not what is kept
    whole, ids = decision.wish.size[rows].tolist(), live.rules.universe.ids
    digits, nothing = live.rules.size_digits[rows].tolist(), Decimal(0)
    for place, (row, size, single) in enumerate(
        zip(rows.tolist(), sizes.tolist(), alone.tolist(), strict=True)
    ):
        name = ids[row]
        if single:
            lots[name] = units(whole[place], digits[place]) if whole[place] else nothing
        elif size == size and abs(size) < 2.0**53:  # noqa: PLR0124 - not NaN
            lots[name] = units(round(size * 10**_FINER), digits[place] + _FINER)
        elif name in memory:
            lots[name] = memory[name]
        else:
            lots.pop(name, None)


def _flag(step: Step, code: str, subject: str, message: str) -> ErrorFlag:
    return ErrorFlag(step, code, subject, FLAG_TABLE[code].severity, message)


def _flags(
    live: LiveColumns, blended: Blend, decision: Decision, capital: Capital
) -> tuple[ErrorFlag, ...]:
    scale, flags = decision.scale, list[ErrorFlag]()
    if scale.capped or scale.short_of_cash:
        bound = "cash and its reserve" if scale.short_of_cash else "the leverage cap"
        flags.append(
            _flag(
                Step.TARGETS,
                "leverage-capped",
                RUN,
                f"targets had a gross leverage of {scale.wanted:.4f}; scaled by "
                f"{float(scale.factor):.4f} to {scale.reached:.4f} because of {bound}",
            )
        )
    if not scale.reachable:
        flags.append(
            _flag(
                Step.TARGETS,
                "leverage-unreachable",
                RUN,
                f"what is held and not decided on keeps gross leverage at {scale.reached:.4f} or "
                "cannot be valued; only reductions were planned",
            )
        )
    flags.extend(_price_flags(live, blended, decision, capital))
    return tuple(flags)


def _price_flags(
    live: LiveColumns, blended: Blend, decision: Decision, capital: Capital
) -> list[ErrorFlag]:
    flags: list[ErrorFlag] = []
    if capital.unvalued:
        names = ", ".join(capital.unvalued)
        message = f"unmanaged positions without a known value: {names}; only reductions planned"
        flags.append(_flag(Step.ORDER_FILE, "price-missing", RUN, message))
    unusable = (live.trouble > 0) & (blended.hold != Why.NO_SLEEVE)
    unusable |= decision.why == Why.OUT_OF_RANGE
    for row in np.flatnonzero(unusable).tolist():
        why = Why(int(live.trouble[row])) if live.trouble[row] else Why.OUT_OF_RANGE
        name = live.rules.universe.ids[row]
        flags.append(_flag(Step.ORDER_FILE, why.code, name, why.sentence))
    stale = sorted(set(live.rules.currency[live.rate_stale].tolist()))
    for place in stale:
        currency = live.rules.currencies[place]
        message = f"the rate of {currency} is older than a session; nothing was bought in it"
        flags.append(_flag(Step.ORDER_FILE, "rate-stale", f"currency:{currency}", message))
    return flags


def _nothing(live: LiveColumns, account: AccountSnapshot, capital: Capital, now: datetime) -> Plan:
    """Return a plan that holds everything: there is nothing to size with."""
    count, rules = len(live.held), live.rules
    unknown, zeros = np.full(count, np.nan), np.zeros(count, np.int64)
    columns = PlanColumns(
        ids=rules.universe.ids,
        size_digits=rules.size_digits,
        price_digits=rules.price_digits,
        held=live.held,
        target=zeros,
        targeted=np.zeros(count, np.bool_),
        known=live.known,
        reference=live.reference,
        age=live.age,
        current_weight=unknown,
        target_weight=unknown,
        delta=zeros,
        limit=zeros,
        sequence=np.full(count, -1, np.int64),
        why=np.full(count, Why.NO_CAPITAL, np.int64),
    )
    message = f"sizing capital is {capital.sizing:f}; nothing can be sized with it"
    flag = _flag(Step.ORDER_FILE, "net-liquidation-invalid", RUN, message)
    return Plan(now, account.net_liquidation, capital.sizing, (), (flag,), columns=columns)
