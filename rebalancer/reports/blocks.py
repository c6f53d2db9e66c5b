"""The parts that several reports share, as blocks: key figures, orders, positions, flags."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from rebalancer.model.flags import ErrorFlag, LatchedFlag, Severity, TradingState
from rebalancer.model.orders import Fill
from rebalancer.model.records import EquityPoint, Mode, RunRecord, Standing
from rebalancer.reports.document import Block, Facts, Paragraph, Section, Table, Tone
from rebalancer.reports.explain import explain
from rebalancer.reports.numbers import (
    basis_points,
    clock,
    count,
    fixed,
    money,
    percent,
    price,
    quantity,
    slot_name,
    when,
)
from rebalancer.reports.rows import Fate, IdleRow, OrderRow, PositionRow

BANNERS = {
    Mode.LIVE: "",
    Mode.PAPER: "PAPER: a simulated account. Prices are synthetic intraday prices; "
    "its profit means nothing.",
    Mode.DRY_RUN: "DRY RUN: nothing was sent. The orders below are what a run would have done.",
    Mode.REPLAY: "REPLAY: a simulated account on recorded prices (synthetic intraday); "
    "its profit means nothing.",
}
"""The loud mark of every run without real orders."""

MARKS = {
    Mode.LIVE: "",
    Mode.PAPER: "[PAPER] ",
    Mode.DRY_RUN: "[DRY RUN] ",
    Mode.REPLAY: "[REPLAY] ",
}
"""The same, in a subject."""

MOST_IDLE = 15
MOST_POSITIONS = 60

_TONES = {Severity.NOTE: Tone.NOTE, Severity.HOLD: Tone.WARN, Severity.HALT: Tone.BAD}
_FATE_TONES = {
    Fate.FILLED: Tone.GOOD,
    Fate.REFUSED: Tone.WARN,
    Fate.REJECTED: Tone.WARN,
    Fate.UNKNOWN: Tone.BAD,
}

FLAGS_TITLE = "What to look at"


def base_currency(record: RunRecord) -> str:
    """Return the account's base currency, '' when the account was not seen."""
    seen = record.after or record.before
    return "" if seen is None else seen.rates.base


def key_figures(
    record: RunRecord,
    standing: Standing | None,
    session_profit: Decimal | None = None,
    *,
    halt_file: bool | None = None,
) -> Facts:
    """Return what the account is worth, what it earned and how it stands.

    `halt_file` tells whether a HALT file stands; None: what the run itself saw.
    """
    base, point = base_currency(record), record.equity
    seen = record.after or record.before
    pairs = []
    if seen is None:
        pairs.append(("Net liquidation", "unknown: the account was not seen in this run"))
    else:
        stale = "" if record.after is not None else " (before the orders; not seen after them)"
        pairs.append(("Net liquidation", money(seen.net_liquidation, base) + stale))
    if session_profit is not None:
        pairs.append(("Profit in this session", _profit(session_profit, base, record)))
    if point is not None:
        pairs += [
            ("Profit since the last run", money(point.profit_since_last, base, signed=True)),
            ("Profit since the start", _since_start(point, standing, base)),
            ("Leverage", f"gross {fixed(point.gross_leverage, 2)}, "
             f"net {fixed(point.net_leverage, 2)}"),
            ("Below the highest value", percent(point.drawdown)),
        ]  # fmt: skip
    if seen is not None:
        cash = ", ".join(money(seen.cash[name], name) for name in sorted(seen.cash)) or "none"
        pairs.append(("Cash", cash))
    if standing is not None:
        when_told = "Trading state" if halt_file is None else "Trading state now"
        if halt_file is None:
            halt_file = any(flag.code == "halt-file" for flag in record.flags)
        pairs.append((when_told, state_words(standing, halt_file=halt_file)))
    return Facts(tuple(pairs))


def state_words(standing: Standing, *, halt_file: bool) -> str:
    """Return the trading state and its reason; a HALT file halts whatever the breakers say."""
    if halt_file and standing.state is not TradingState.HALTED:
        return f"{TradingState.HALTED.value}: by a HALT file"
    reason = f": {standing.state_reason}" if standing.state_reason else ""
    return standing.state.value + reason


def session_profit(points: Sequence[EquityPoint], session: date) -> Decimal | None:
    """Return the profit since the end of the session before, without external flows.

    In the first session it counts from the account's opening. None without a point in it.
    """
    inside = [point for point in points if point.session == session]
    before = [point for point in points if point.session < session]
    if not inside:
        return None
    start = before[-1].profit_since_start if before else Decimal(0)
    return inside[-1].profit_since_start - start


def orders_section(rows: Sequence[OrderRow], base: str, *, times: bool = False) -> Section:
    """Return the wanted orders with their reasons, fates and costs, each row a small story."""
    if not rows:
        return Section("Orders", (Paragraph("No order was wanted."),))
    table = Table(
        header=("Order", "Why", "What became of it", "Cost"),
        rows=tuple(
            (_order(row, times=times), _reason(row), _fate(row), _cost(row, base)) for row in rows
        ),
        stacked=True,
        tones=tuple(_FATE_TONES.get(row.fate, Tone.PLAIN) for row in rows),
    )
    return Section("Orders: why, and what became of them", (table,))


def idle_section(rows: Sequence[IdleRow]) -> Section | None:
    """Return why nothing was wanted elsewhere; None when there is no such instrument."""
    if not rows:
        return None
    away = [row for row in rows if not row.settled]
    settled = len(rows) - len(away)
    blocks: list[Block] = []
    if settled:
        blocks.append(Paragraph(f"At its target: {count(settled, 'instrument')}."))
    if away:
        shown = away[:MOST_IDLE]
        table = Table(
            header=("Instrument", "Weight", "Target", "Why nothing was ordered"),
            rows=tuple(
                (row.instrument, percent(row.current_weight), percent(row.target_weight),
                 row.reason)
                for row in shown
            ),
            right=frozenset({1, 2}),
        )  # fmt: skip
        blocks.append(table)
    if len(away) > MOST_IDLE:
        blocks.append(Paragraph(f"... and {len(away) - MOST_IDLE} more; see orders.csv."))
    return Section("No order wanted", tuple(blocks))


def positions_section(rows: Sequence[PositionRow], base: str) -> Section:
    """Return holdings against targets."""
    if not rows:
        return Section("Positions", (Paragraph("Not known: the account was not seen, or empty."),))
    table = Table(
        header=("Instrument", "Held", "Wanted", "Weight", "Target", f"Value {base}".strip()),
        rows=tuple(_position(row) for row in rows[:MOST_POSITIONS]),
        right=frozenset({1, 2, 3, 4, 5}),
    )
    blocks: list[Block] = [table]
    if len(rows) > MOST_POSITIONS:
        blocks.append(Paragraph(f"... and {len(rows) - MOST_POSITIONS} more; see orders.csv."))
    return Section("Positions against targets", tuple(blocks))


def fills_section(fills: Sequence[Fill]) -> Section | None:
    """Return the executions with their commissions (`pending` until billed); None for none."""
    if not fills:
        return None
    table = Table(
        header=("Time (UTC)", "Instrument", "Quantity", "Price", "Commission"),
        rows=tuple(
            (
                when(fill.at).removesuffix(" UTC"),
                fill.instrument,
                quantity(fill.quantity, signed=True),
                f"{price(fill.price)} {fill.currency}",
                "pending" if fill.commission is None
                else money(fill.commission, fill.commission_currency or fill.currency),
            )
            for fill in fills
        ),
        right=frozenset({2, 3, 4}),
    )  # fmt: skip
    return Section("Executions", (table,))


def flags_section(
    flags: Sequence[ErrorFlag], latched: Sequence[LatchedFlag], *, sent: bool
) -> Section:
    """Return what the owner should look at, gravest first, then the notes."""
    named = {(flag.code, flag.subject) for flag in flags}
    standing = [flag for flag in latched if (flag.code, flag.subject) not in named]
    every: list[ErrorFlag | LatchedFlag] = [*flags, *standing]
    grave = [flag for flag in every if flag.severity is not Severity.NOTE]
    grave.sort(key=lambda flag: flag.severity is not Severity.HALT)
    blocks: list[Block] = [trouble(flag, sent=sent) for flag in grave]
    if not grave:
        blocks.append(Paragraph("Nothing needs your attention.", Tone.GOOD))
    notes = [flag for flag in flags if flag.severity is Severity.NOTE]
    blocks += [Paragraph(f"Note: {flag.message or flag.code}", Tone.NOTE) for flag in notes]
    return Section(FLAGS_TITLE, tuple(blocks))


def trouble(flag: ErrorFlag | LatchedFlag, *, sent: bool) -> Paragraph:
    """Return one flag: what, where, what was not done because of it, what to do."""
    told = explain(flag, sent=sent)
    text = (
        f"{told.severity.value} {told.code}: {told.what}\n"
        f"Where: {told.where}.\n"
        f"Not done: {told.not_done}\n"
        f"What to do: {told.to_do}"
    )
    return Paragraph(text, _TONES[told.severity])


def files_footer(record: RunRecord) -> tuple[str, ...]:
    """Return where the run's files are."""
    folder = f"state/{record.portfolio}/"
    if record.mode is Mode.DRY_RUN:
        folder += "dry/"
    return (
        f"Files of this run: {folder}runs/{slot_name(record.slot)}/ (orders.csv, record.json)",
        f"All trades: {folder}trades.csv; net liquidation by the hour: {folder}equity.csv",
    )


def _profit(amount: Decimal, base: str, record: RunRecord) -> str:
    seen = record.after or record.before
    text = money(amount, base, signed=True)
    if seen is None or seen.net_liquidation - amount <= 0:
        return text
    return f"{text} ({percent(amount / (seen.net_liquidation - amount), signed=True)})"


def _since_start(point: EquityPoint, standing: Standing | None, base: str) -> str:
    text = money(point.profit_since_start, base, signed=True)
    start = None if standing is None else standing.start_net_liquidation
    if not start or start <= 0:
        return text
    return f"{text} ({percent(point.profit_since_start / start, signed=True)})"


def _order(row: OrderRow, *, times: bool) -> str:
    at = f"{clock(row.slot)} " if times else ""
    limit = "" if row.limit is None else f" at {price(row.limit)} {row.currency}".rstrip()
    kind = f" ({row.order_type})" if row.order_type else ""
    return f"{at}{row.action.value} {quantity(row.quantity)} {row.instrument}{limit}{kind}"


def _reason(row: OrderRow) -> str:
    weights = f"weight {percent(row.current_weight)} to {percent(row.target_weight)}"
    return f"{row.reason}; {weights}" if row.reason else weights


def _fate(row: OrderRow) -> str:
    if row.fate is Fate.REFUSED:
        return f"refused by {row.why}"
    if row.fate is Fate.NOT_SENT and row.why and not row.filled:
        return f"{row.fate.value}: {row.why}"
    text = row.fate.value
    if row.average_price is not None:
        text += f": {quantity(row.filled)} at {price(row.average_price)} {row.currency}".rstrip()
        text += "" if row.filled == row.quantity else f", of {quantity(row.quantity)}"
    return f"{text}; {row.why}" if row.why else text


def _cost(row: OrderRow, base: str) -> str:
    if not row.filled:
        return ""
    parts = []
    if row.cost_bps is not None:
        parts.append(
            f"{basis_points(row.cost_bps)} against the decision price {price(row.reference_price)}"
        )
        if row.cost_base is not None:
            parts[-1] += f" (about {money(row.cost_base, base, signed=True)})"
    billed = [money(paid.amount, paid.currency) for paid in row.commissions]
    if row.commissions_pending or not billed:
        billed.append("pending")
    return "; ".join([*parts, f"commission {' + '.join(billed)}"])


def _position(row: PositionRow) -> tuple[str, ...]:
    name = row.instrument if row.managed else f"{row.instrument} (unmanaged)"
    held = row.now if row.now is not None else row.before
    target = quantity(row.target) if row.managed else "-"
    weights = (percent(row.weight), percent(row.target_weight)) if row.managed else ("-", "-")
    value = "unknown" if row.value_base is None else fixed(row.value_base, 2)
    return (name, quantity(held), target, *weights, value)
