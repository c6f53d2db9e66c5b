"""What the exchange books by itself on USDⓈ-M: profit, funding, fees, transfers.

A page has at most 1000 rows and the exchange keeps three months. Several rows may carry the
same millisecond: the next page begins with the last one's, and what comes twice is one row by
everything that tells rows apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from rebalancer.brokers.binance.parameters import Product
from rebalancer.brokers.binance.questions import (
    Questions,
    milliseconds,
    moment,
    number,
    rows,
    whole,
)
from rebalancer.errors import BlindError, DataError
from rebalancer.model.income import Income, IncomeKind
from rebalancer.model.instrument import InstrumentId

PATH = "/fapi/v1/income"
MOST_ROWS = 1000
WINDOW = timedelta(days=7)
KEPT = timedelta(days=89)
"""The exchange says three months; earlier times are answered with nothing."""

FRESH = timedelta(seconds=30)
"""So long nothing is asked again, unless something was sent meanwhile: a page weighs 30."""

LATE = timedelta(minutes=5)
"""How far back rows are asked for again: a booking may appear after a later one."""

_EIGHT = Decimal("0.00000001")

_KINDS: Mapping[str, IncomeKind] = {
    "REALIZED_PNL": IncomeKind.REALISED,
    "DELIVERED_SETTELMENT": IncomeKind.REALISED,
    "FUNDING_FEE": IncomeKind.FUNDING,
    "SPECIAL_FUNDING_FEE": IncomeKind.FUNDING,
    "COMMISSION": IncomeKind.COMMISSION,
    "TRANSFER": IncomeKind.TRANSFER,
    "INTERNAL_TRANSFER": IncomeKind.TRANSFER,
    "CROSS_COLLATERAL_TRANSFER": IncomeKind.TRANSFER,
    "STRATEGY_UMFUTURES_TRANSFER": IncomeKind.TRANSFER,
}
"""The exchange's types; every other one is OTHER, with its own name as words."""

Row = Mapping[str, Any]


class Ledger:
    """The income of one connection: what was read once is asked for from its end on only."""

    def __init__(self, line: Questions, most_rows: int = MOST_ROWS) -> None:
        self._line, self._most_rows = line, most_rows
        self._since: datetime | None = None
        self._until: datetime | None = None
        self._writes = 0
        self.quiet: Callable[[], bool] = lambda: True
        """Whether nothing of ours could trade: only then what was read a moment ago still holds."""
        self._rows: dict[str, Row] = {}

    def income(self, since: datetime) -> tuple[Income, ...]:
        """Return the lines at or after `since`, oldest first; none on spot, which has no such.

        Raises `BlindError` when pages do not fit together.
        """
        return tuple(income_of(row, self._line.instrument_id) for row in self.rows(since))

    def rows(self, since: datetime) -> tuple[Row, ...]:
        """Return the exchange's own rows at or after `since`, oldest first, each once."""
        if self._line.product is not Product.USDM:
            return ()
        now = self._line.now()
        since = max(since, now - KEPT)
        if self._since is None or self._until is None or since < self._since:
            self._read(since, now)
            self._since = since
        elif not self.quiet() or self._line.writes != self._writes or now > self._until + FRESH:
            self._read(max(self._until - LATE, self._since), now)
        else:
            now = self._until  # nothing of ours could trade since, and it was read just now
        self._until, self._writes = now, self._line.writes
        least = milliseconds(since)
        chosen = [row for row in self._rows.values() if _time(row) >= least]
        return tuple(sorted(chosen, key=_order))

    def _read(self, since: datetime, now: datetime) -> None:
        """Read all windows from `since` to now."""
        start = since
        while start <= now:
            end = min(start + WINDOW, now + timedelta(seconds=1))
            self._window(milliseconds(start), milliseconds(end) - 1)
            start = end

    def _window(self, start: int, end: int) -> None:
        """Read one window; a full page goes on at its last millisecond, told again.

        A page that holds one millisecond only goes on by its number.
        """
        number = 1
        while True:
            page = self._page(start, end, number)
            known = len(self._rows)
            for row in page:
                self._rows.setdefault(row_id(row), row)
            if len(page) < self._most_rows:
                return
            last = _time(page[-1])
            if last > start:
                start, number = last, 1
            elif number > 1 and len(self._rows) == known:
                raise BlindError(f"income: {self._most_rows} rows or more at {start} ms")
            else:
                number += 1

    def _page(self, start: int, end: int, number: int) -> list[dict[str, Any]]:
        asked = {"startTime": str(start), "endTime": str(end), "limit": str(self._most_rows)}
        if number > 1:
            asked["page"] = str(number)
        answer = self._line.signed("GET", PATH, **asked)
        page = rows([] if answer is None else answer, "income")
        times = [_time(row) for row in page]
        if times != sorted(times) or (times and not start <= times[0] <= times[-1] <= end):
            raise BlindError("income: a page is not in order or outside of what was asked")
        return page


def row_id(row: Row) -> str:
    """Return what tells a row from every other: time, type, amount, asset, trade, transaction."""
    amount = _amount(row).quantize(_EIGHT)
    return "|".join(
        (
            str(_time(row)),
            str(row.get("incomeType", "")),
            f"{amount:f}",
            str(row.get("asset", "")),
            str(row.get("symbol") or ""),
            str(row.get("tradeId") or ""),
            str(row.get("tranId") or ""),
        )
    )


def income_of(row: Row, name: Callable[[str], InstrumentId]) -> Income:
    """Return a row of the exchange as a line; `name` gives a symbol's instrument."""
    words, asset = row.get("incomeType"), row.get("asset")
    if not isinstance(words, str) or not words or not isinstance(asset, str) or not asset:
        raise BlindError(f"income: a row without its type or asset: {sorted(row)}")
    symbol = str(row.get("symbol") or "")
    instrument = None
    try:
        instrument = name(symbol) if symbol else None
    except (
        DataError
    ):  # a symbol that no identifier of ours can say: the money is booked all the same
        words = f"{words} {symbol}"
    return Income(
        id=row_id(row),
        kind=_KINDS.get(str(row["incomeType"]), IncomeKind.OTHER),
        asset=asset,
        amount=_amount(row),
        at=moment(_time(row), "income"),
        instrument=instrument,
        words=words,
    )


def within(told: Income, base: str) -> Income:
    """Return a line as an account counts it whose value is that of one asset alone, `base`.

    What moves in another asset (BNB for fees, say) is no flow of that value and no cash of it.
    """
    if told.asset == base or told.kind is IncomeKind.COMMISSION:
        return told
    return replace(told, kind=IncomeKind.APART)


def traded_symbols(told: Sequence[Row]) -> tuple[str, ...]:
    """Return the symbols that had executions: each books a commission."""
    kinds = ("COMMISSION", "REALIZED_PNL")
    return tuple(sorted({str(r["symbol"]) for r in told if r.get("incomeType") in kinds
                         and r.get("symbol")}))  # fmt: skip


def _time(row: Row) -> int:
    return whole(row.get("time"), "income time")


def _amount(row: Row) -> Decimal:
    return number(row.get("income"), "income")


def _order(row: Row) -> tuple[int, str]:
    return _time(row), row_id(row)
