"""What the exchange booked: every line once, at page borders too."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rebalancer.brokers.binance.income import Ledger, income_of, row_id, traded_symbols
from rebalancer.brokers.binance.parameters import Product
from rebalancer.errors import BlindError
from rebalancer.model.income import IncomeKind
from rebalancer.model.instrument import parse_instrument_id
from tests.unit.binance.reading.exchange import NOW, Exchange, ms, perp, reading

PATH = "/fapi/v1/income"
DAY = timedelta(days=1)


def row(number: int, at: int, kind: str = "FUNDING_FEE", **more: Any) -> dict[str, Any]:
    """Return a row with the documented keys."""
    return {
        "symbol": "BTCUSDT",
        "incomeType": kind,
        "income": "-0.37500000",
        "asset": "USDT",
        "info": kind,
        "time": at,
        "tranId": 9689322392 + number,
        "tradeId": "",
    } | more


def server(rows: list[dict[str, Any]], most: int = 1000) -> Any:
    def answer(asked: Mapping[str, str]) -> Any:
        assert int(asked["limit"]) <= 1000
        assert int(asked["endTime"]) - int(asked["startTime"]) <= 7 * 86_400_000
        chosen = [r for r in rows if int(asked["startTime"]) <= r["time"] <= int(asked["endTime"])]
        first = (int(asked.get("page", "1")) - 1) * most
        return sorted(chosen, key=lambda r: r["time"])[first : first + most]

    return answer


def ledger(rows: list[dict[str, Any]], most: int = 1000) -> tuple[Ledger, Exchange]:
    found = Exchange(answers={PATH: server(rows, most)})
    return Ledger(found, most), found


def test_a_row_becomes_a_line_of_the_books(tmp_path: Path) -> None:
    found = Exchange(answers={PATH: server([row(0, ms(NOW) - 5)])})
    (line,) = reading(found, tmp_path, perp()).income(NOW - DAY)
    assert line.kind is IncomeKind.FUNDING
    assert (line.asset, line.amount) == ("USDT", Decimal("-0.375"))
    assert line.at == NOW - timedelta(milliseconds=5)
    assert (line.instrument, line.words) == (perp().id, "FUNDING_FEE")


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("REALIZED_PNL", IncomeKind.REALISED),
        ("FUNDING_FEE", IncomeKind.FUNDING),
        ("SPECIAL_FUNDING_FEE", IncomeKind.FUNDING),
        ("COMMISSION", IncomeKind.COMMISSION),
        ("TRANSFER", IncomeKind.TRANSFER),
        ("INTERNAL_TRANSFER", IncomeKind.TRANSFER),
        ("CROSS_COLLATERAL_TRANSFER", IncomeKind.TRANSFER),
        ("STRATEGY_UMFUTURES_TRANSFER", IncomeKind.TRANSFER),
        ("DELIVERED_SETTELMENT", IncomeKind.REALISED),
        ("INSURANCE_CLEAR", IncomeKind.OTHER),
        ("COMMISSION_REBATE", IncomeKind.OTHER),
        ("COIN_SWAP_DEPOSIT", IncomeKind.OTHER),
        ("AUTO_EXCHANGE", IncomeKind.OTHER),
        ("NEVER_HEARD_OF", IncomeKind.OTHER),
    ],
)
def test_every_type_has_its_kind_and_keeps_its_words(words: str, kind: IncomeKind) -> None:
    line = income_of(row(0, ms(NOW), words), lambda _: perp().id)
    assert (line.kind, line.words) == (kind, words)


def test_a_transfer_concerns_no_instrument() -> None:
    line = income_of(row(0, ms(NOW), "TRANSFER", symbol=""), lambda _: perp().id)
    assert line.instrument is None


def test_a_symbol_that_we_cannot_name_is_booked_with_its_words() -> None:
    line = income_of(row(0, ms(NOW), symbol="\u5e01\u5b89USDT"), parse_instrument_id)
    assert (line.instrument, line.kind) == (None, IncomeKind.FUNDING)
    assert line.words == "FUNDING_FEE \u5e01\u5b89USDT"


def test_rows_differ_by_time_type_amount_asset_trade_and_transaction() -> None:
    first = row(0, 1000, "COMMISSION", tradeId="7")
    others: list[dict[str, Any]] = [
        {"time": 1001},
        {"incomeType": "REALIZED_PNL"},
        {"income": "-0.37500001"},
        {"asset": "BNB"},
        {"tradeId": "8"},
        {"tranId": 1},
    ]
    assert len({row_id(first | other) for other in [{}, *others]}) == 7
    # The same amount in other words, at eight decimals, is the same row.
    assert row_id(first | {"income": "-0.375"}) == row_id(first)


def test_more_rows_than_a_page_come_each_once(tmp_path: Path) -> None:
    rows = [row(n, ms(NOW - DAY) + n // 7 * 1000) for n in range(2500)]
    found, asked = ledger(rows)
    told = found.income(NOW - 2 * DAY)
    assert len(told) == len({line.id for line in told}) == 2500
    assert [line.at for line in told] == sorted(line.at for line in told)
    assert asked.count(PATH) == 3


@settings(max_examples=60)
@given(st.lists(st.integers(0, 12), max_size=60), st.integers(4, 12))
def test_no_row_is_lost_or_doubled_at_a_border_of_pages(gaps: list[int], most: int) -> None:
    at, rows, run = ms(NOW - DAY), [], 1
    for number, gap in enumerate(gaps):
        # As many rows of one millisecond as a page holds could not be told apart from more.
        later = gap > 4 or run + 1 >= most
        at, run = (at + max(gap, 1), 1) if later else (at, run + 1)
        rows.append(row(number, at))
    told = ledger(rows, most)[0].rows(NOW - 2 * DAY)
    assert sorted(each["tranId"] for each in told) == [each["tranId"] for each in rows]


def test_three_months_are_read_a_week_at_a_time() -> None:
    rows = [row(n, ms(NOW - n * DAY)) for n in range(100)]
    found, asked = ledger(rows)
    told = found.rows(NOW - 365 * DAY)
    # The exchange keeps three months: 89 days and today are 90 rows, 13 weeks of questions.
    assert (len(told), asked.count(PATH)) == (90, 13)


def test_what_was_read_is_asked_for_again_from_its_end_on_only() -> None:
    rows = [row(0, ms(NOW - DAY))]
    found, asked = ledger(rows)
    assert len(found.rows(NOW - 2 * DAY)) == 1
    assert len(found.rows(NOW - DAY / 2)) == 0
    assert asked.count(PATH) == 1  # no time has passed
    asked.passage.now += timedelta(seconds=20)
    found.rows(NOW - DAY)
    assert asked.count(PATH) == 1  # it was read just now, and nothing was sent since
    asked.passage.now -= timedelta(seconds=20)
    asked.passage.now += timedelta(minutes=1)
    rows += [row(1, ms(NOW) + 10), row(2, ms(NOW) - 60_000)]  # one of them booked late
    assert len(found.rows(NOW - 2 * DAY)) == 3
    assert int(asked.asked[-1][1]["startTime"]) == ms(NOW) - 300_000


def test_while_something_rests_what_was_read_a_moment_ago_does_not_hold() -> None:
    rows = [row(0, ms(NOW - DAY))]
    found, _ = ledger(rows)
    found.quiet = lambda: False
    found.rows(NOW - 2 * DAY)
    rows.append(row(1, ms(NOW)))
    assert len(found.rows(NOW - 2 * DAY)) == 2


def test_after_something_was_sent_it_is_asked_again_at_once() -> None:
    rows = [row(0, ms(NOW - DAY))]
    found, asked = ledger(rows)
    found.rows(NOW - 2 * DAY)
    rows.append(row(1, ms(NOW)))
    asked.writes = 1
    assert len(found.rows(NOW - 2 * DAY)) == 2


def test_an_earlier_beginning_reads_anew() -> None:
    rows = [row(0, ms(NOW - 3 * DAY)), row(1, ms(NOW - DAY))]
    found, _ = ledger(rows)
    assert len(found.rows(NOW - 2 * DAY)) == 1
    assert len(found.rows(NOW - 4 * DAY)) == 2


def test_more_rows_of_one_millisecond_than_a_page_are_read_by_its_number() -> None:
    rows = [row(n, ms(NOW) - 5) for n in range(2300)]
    found, asked = ledger(rows)
    assert len(found.rows(NOW - timedelta(milliseconds=5))) == 2300
    assert [each.get("page", "1") for _, each in asked.asked] == ["1", "2", "3"]


def test_an_exchange_that_does_not_turn_pages_is_blindness() -> None:
    found = Ledger(Exchange(answers={PATH: [row(n, ms(NOW) - 5) for n in range(1000)]}))
    with pytest.raises(BlindError, match="1000 rows or more"):
        found.rows(NOW - timedelta(milliseconds=5))


@pytest.mark.parametrize(
    "answer",
    [
        {"code": 1},
        "<html>",
        [row(0, ms(NOW)), row(1, ms(NOW) - 1)],
        [row(0, ms(NOW - 30 * DAY))],
        [row(0, ms(NOW + DAY))],
        [row(0, ms(NOW), income="")],
        [{}],
    ],
)
def test_answers_that_make_no_sense_are_blindness(answer: Any) -> None:
    with pytest.raises(BlindError):
        Ledger(Exchange(answers={PATH: answer})).rows(NOW - DAY)


def test_a_row_without_its_type_is_blindness() -> None:
    with pytest.raises(BlindError, match="without its type"):
        income_of(row(0, ms(NOW), ""), lambda _: perp().id)


def test_traded_symbols_are_those_with_commissions_and_profits() -> None:
    rows = [
        row(0, 1, "COMMISSION", symbol="B"),
        row(1, 1, "COMMISSION", symbol="A"),
        row(2, 1, "FUNDING_FEE", symbol="C"),
        row(3, 1, "REALIZED_PNL", symbol="A"),
    ]
    assert traded_symbols(rows) == ("A", "B")


def test_spot_has_no_income() -> None:
    assert Ledger(Exchange(Product.SPOT)).income(NOW - DAY) == ()
