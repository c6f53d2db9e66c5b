"""The tables, the same on both databases; docs/DATABASE.md explains them to their readers."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Date,
    DateTime,
    Dialect,
    Float,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.types import TypeEngine

VERSION = 1
"""Version of these tables, kept in `schema_version`."""


class Exact(TypeDecorator[Decimal]):
    """A decimal that comes back digit for digit.

    NUMERIC without limits where there is one; SQLite would make a binary float of it, so
    there it is text.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type of a column."""
        exact = dialect.name == "postgresql"
        return dialect.type_descriptor(Numeric(asdecimal=True) if exact else Text())

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """Return what goes to the database."""
        if value is None or dialect.name == "postgresql":
            return value
        return f"{value:f}"

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """Return what came from the database."""
        return None if value is None else Decimal(value)


class UtcTime(TypeDecorator[datetime]):
    """An aware time in UTC: TIMESTAMP WITH TIME ZONE, on SQLite ISO 8601 text with a `Z`."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type of a column."""
        zoned = dialect.name == "postgresql"
        return dialect.type_descriptor(DateTime(timezone=True) if zoned else Text())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Return what goes to the database."""
        if value is None or dialect.name == "postgresql":
            return value
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Return what came from the database."""
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        return None if value is None else value.astimezone(UTC)


metadata = MetaData()


def _key(name: str, kind: Any) -> Column[Any]:
    return Column(name, kind, primary_key=True, autoincrement=False)


def _table(name: str, *columns: Column[Any]) -> Table:
    """Return a table of one portfolio's days: `portfolio` begins its key."""
    return Table(name, metadata, _key("portfolio", Text), *columns)


schema_version = Table("schema_version", metadata, _key("version", Integer))

commits = _table(
    "commits",
    _key("session", Date),
    Column("committed_at", UtcTime, nullable=False),
)
runs = _table(
    "runs",
    _key("slot", UtcTime),
    Column("session", Date, nullable=False, index=True),
    Column("attempt", Integer, nullable=False),
    Column("mode", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("exit_code", Integer, nullable=False),
    Column("reached", Integer, nullable=False),
    Column("net_liquidation", Exact),
    Column("wanted", Integer, nullable=False),
    Column("approved", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    Column("fills", Integer, nullable=False),
    Column("flags", Integer, nullable=False),
)
orders = _table(
    "orders",
    _key("slot", UtcTime),
    _key("line", Integer),
    Column("session", Date, nullable=False, index=True),
    Column("instrument", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("quantity", Exact, nullable=False),
    Column("limit_price", Exact),
    Column("reference_price", Exact),
    Column("current_quantity", Exact, nullable=False),
    Column("target_quantity", Exact),
    Column("current_weight", Float),
    Column("target_weight", Float),
    Column("reason", Text, nullable=False),
    Column("reference", Text),
    Column("status", Text),
    Column("filled", Exact),
    Column("refused_by", Text),
    Column("refusal", Text),
)
trades = _table(
    "trades",
    _key("exec_id", Text),
    Column("session", Date, nullable=False, index=True),
    Column("at", UtcTime, nullable=False),
    Column("slot", UtcTime, nullable=False),
    Column("instrument", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("quantity", Exact, nullable=False),
    Column("price", Exact, nullable=False),
    Column("currency", Text, nullable=False),
    Column("commission", Exact),
    Column("commission_currency", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("decision_price", Exact),
)
positions = _table(
    "positions",
    _key("session", Date),
    _key("instrument", Text),
    Column("at", UtcTime, nullable=False),
    Column("quantity", Exact, nullable=False),
    Column("currency", Text, nullable=False),
    Column("price", Exact),
    Column("value", Exact),
    Column("average_cost", Exact),
    Column("unmanaged", Boolean, nullable=False),
)
equity = _table(
    "equity",
    _key("slot", UtcTime),
    Column("session", Date, nullable=False, index=True),
    Column("net_liquidation", Exact, nullable=False),
    Column("cash_base", Exact, nullable=False),
    Column("gross_leverage", Exact, nullable=False),
    Column("net_leverage", Exact, nullable=False),
    Column("profit_since_last", Exact, nullable=False),
    Column("profit_since_start", Exact, nullable=False),
    Column("drawdown", Exact, nullable=False),
    Column("orders", Integer, nullable=False),
    Column("fills", Integer, nullable=False),
    Column("turnover", Exact, nullable=False),
    Column("state", Text, nullable=False),
)
flags = _table(
    "flags",
    _key("slot", UtcTime),
    _key("line", Integer),
    Column("session", Date, nullable=False, index=True),
    Column("step", Integer, nullable=False),
    Column("code", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("message", Text, nullable=False),
)

OF_A_DAY = (runs, orders, trades, positions, equity, flags)
"""The tables whose rows belong to a session date: a day is written anew in one piece."""
