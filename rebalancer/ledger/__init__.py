"""The books: executions once each, positions, costs, cash and the equity curve; all pure.

`fills.jsonl` is the truth; everything here is a view of its lines.
"""

from rebalancer.ledger.books import (
    adjustments,
    adoption,
    compare_books,
    corporate_actions,
    looks_like_split,
    unmanaged,
)
from rebalancer.ledger.cash import cash_effects, unexplained_cash
from rebalancer.ledger.continuity import continuous
from rebalancer.ledger.entries import (
    RESOLVED,
    Booked,
    bookable,
    booked,
    change,
    entries_for,
    newly_traded,
)
from rebalancer.ledger.equity import (
    Period,
    drawdowns,
    equity_point,
    linked,
    position_values,
    time_weighted_return,
)
from rebalancer.ledger.gaps import (
    GapVerdict,
    judge_gaps,
    missing_fills,
    remembered_gaps,
    to_ask,
)
from rebalancer.ledger.income import (
    booked_income,
    external_flows,
    income_entries,
)
from rebalancer.ledger.positions import (
    Holding,
    average_cost,
    expected_positions,
    positions,
    splits,
    trade_records,
)
from rebalancer.ledger.results import results, shortfalls
from rebalancer.model.breaks import Break, CorporateAction

__all__ = [
    "RESOLVED",
    "Booked",
    "Break",
    "CorporateAction",
    "GapVerdict",
    "Holding",
    "Period",
    "adjustments",
    "adoption",
    "average_cost",
    "bookable",
    "booked",
    "booked_income",
    "cash_effects",
    "change",
    "compare_books",
    "continuous",
    "corporate_actions",
    "drawdowns",
    "entries_for",
    "equity_point",
    "expected_positions",
    "external_flows",
    "income_entries",
    "judge_gaps",
    "linked",
    "looks_like_split",
    "missing_fills",
    "newly_traded",
    "position_values",
    "positions",
    "remembered_gaps",
    "results",
    "shortfalls",
    "splits",
    "time_weighted_return",
    "to_ask",
    "trade_records",
    "unexplained_cash",
    "unmanaged",
]
