"""Schedules that reach the planted bugs, and the invariants that must break there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from rebalancer.simulators.faults.hours import FLATTEN
from rebalancer.simulators.faults.schedule import Happening, Hour, Schedule, Trouble
from tests.rehearsal import planted, planted_ends

Plant = Callable[[pytest.MonkeyPatch], None]

JNJ, KO, MSFT = "JNJ.STK.USD@IB", "KO.STK.USD@IB", "MSFT.STK.USD@IB"
BTC, ETH = "BTCUSDT.PERP@BINANCE", "ETHUSDT.PERP@BINANCE"
SHARES = {JNJ: "0.2", KO: "0.2", MSFT: "0.2"}
OTHERS = {JNJ: "0.3", KO: "0.1", MSFT: "0.3"}
COINS = {BTC: "0.3", ETH: "-0.3"}
LIMIT = "max_order_weight"
AT_IB, AT_BINANCE = ("ib",), ("binance",)
OLD_QUOTES = Trouble("quote-stale", count=None, seconds=3600.0)
OLD_ACCOUNT = Trouble("account-stale", count=None, seconds=600.0, step=7)
REST = Trouble("no-fill", count=None, step=7)
"""Orders that are sent stay open."""
HALF = Trouble("partial-fill", count=None, step=7)


@dataclass(frozen=True)
class Bug:
    """A bug: how it is planted, where it shows, and the invariants of which it breaks one.

    `venues` are those at which what it takes away is there to be taken.
    """

    name: str
    plant: Plant
    schedule: Schedule
    breaks: frozenset[str]
    venues: tuple[str, ...] = ("ib", "binance")


def shares(*hours: Hour, **more: Any) -> Schedule:
    """Return a schedule at Interactive Brokers."""
    return Schedule("ib", 3, hours, **more)


def coins(*hours: Hour, **more: Any) -> Schedule:
    """Return a schedule at Binance."""
    return Schedule("binance", 3, hours, **more)


def an_hour(*troubles: Trouble, wanted: Mapping[str, str] = SHARES, **more: Any) -> Hour:
    """Return an hour with its troubles."""
    return Hour(60, wanted, troubles, **more)


TWICE, UNANNOUNCED, LOST = "no-duplicate-order", "no-order-without-intent", "no-lost-fill"
OBEYED, UNKNOWN, CENTS = "breakers-obeyed", "unknown-is-not-failure", "every-cent"

PLAIN = shares(an_hour())
HALTED = coins(
    Hour(60, COINS),
    Hour(60, COINS, happenings=(Happening("liquidation", BTC, "0.5"),)),
    Hour(60, {BTC: "0.1", ETH: "-0.1"}),
)
BLIND = shares(
    an_hour(),
    an_hour(Trouble("request-lost", at="reqPositions", count=None, step=4)),
    post=True,
)
A_NIGHT = shares(an_hour(), Hour(1440, OTHERS), post=True)

BUGS: tuple[Bug, ...] = (
    Bug(
        "send before the journal", planted.send_before_the_journal, PLAIN, frozenset({UNANNOUNCED})
    ),
    Bug(
        "a journal that is not durable",
        planted.do_not_wait_for_the_disk,
        PLAIN,
        frozenset({UNANNOUNCED}),
    ),
    Bug(
        "send again after a time-out",
        planted.send_again_after_a_time_out,
        shares(an_hour(Trouble("order-unheard", count=None))),
        frozenset({TWICE}),
    ),
    Bug(
        "take unknown for absent",
        planted.take_unknown_for_absent,
        shares(an_hour(Trouble("order-lost", count=None))),
        frozenset({UNKNOWN}),
    ),
    Bug(
        "use a reference again",
        planted.use_a_reference_again,
        shares(
            an_hour(REST, Trouble("kill-port-after", at="venue.wait", nth=2, step=7)),
            an_hour(again=True),
        ),
        frozenset({TWICE}),
    ),
    Bug(
        "send more than was approved",
        planted.send_more_than_was_approved,
        PLAIN,
        frozenset({UNANNOUNCED}),
    ),
    Bug(
        "ask about margin in a dry run",
        planted.ask_about_margin_in_a_dry_run,
        shares(an_hour(dry=True)),
        frozenset({"nothing-in-dry-run"}),
        venues=AT_IB,
    ),
    Bug(
        "remember a dry run",
        planted.remember_a_dry_run,
        shares(an_hour(), an_hour(wanted=OTHERS, dry=True)),
        frozenset({"nothing-in-dry-run"}),
    ),
    Bug(
        "trust an empty position list",
        planted.trust_an_empty_position_list,
        shares(
            an_hour(),
            an_hour(
                Trouble("answer-unended", at="reqPositions", count=None, step=4), wanted=OTHERS
            ),
        ),
        frozenset({TWICE}),
        venues=AT_IB,
    ),
    Bug(
        "trust a cancel that was asked for",
        planted.trust_a_cancel_that_was_asked_for,
        shares(
            an_hour(REST),
            an_hour(Trouble("cancel-late", count=None, seconds=300.0, step=2), wanted=OTHERS),
        ),
        frozenset({TWICE}),
    ),
    Bug(
        "trust Cancelled",
        planted_ends.trust_cancelled,
        shares(an_hour(Trouble("order-noticed", count=None, code=10349))),
        frozenset({TWICE}),
        venues=AT_IB,
    ),
    Bug(
        "trust Inactive",
        planted_ends.trust_inactive,
        shares(an_hour(HALF, Trouble("order-inactive", count=None, seconds=20.0))),
        frozenset({TWICE}),
        venues=AT_IB,
    ),
    Bug(
        "forget late commissions",
        planted.forget_late_commissions,
        shares(an_hour(Trouble("commission-late", count=None, seconds=900.0))),
        frozenset({LOST}),
        venues=AT_IB,
    ),
    Bug(
        "count a correction as a second fill",
        planted.count_a_correction_as_a_second_fill,
        shares(an_hour(), an_hour(happenings=(Happening("execution-corrected", JNJ, "1"),))),
        frozenset({LOST}),
        venues=AT_IB,
    ),
    Bug(
        "book income with the wrong sign",
        planted.book_income_with_the_wrong_sign,
        coins(Hour(60, COINS), Hour(60, {BTC: "0.1", ETH: "-0.1"})),
        frozenset({CENTS}),
        venues=AT_BINANCE,
    ),
    Bug(
        "drop fills between two runs",
        planted.drop_fills_between_two_runs,
        shares(an_hour(), an_hour(happenings=(Happening("trade-by-hand", JNJ, "0.02"),))),
        frozenset({LOST}),
    ),
    Bug(
        "clear breakers on restart", planted.clear_breakers_on_restart, HALTED, frozenset({OBEYED})
    ),
    Bug("ignore halts at the gate", planted.ignore_halts_at_the_gate, HALTED, frozenset({OBEYED})),
    Bug(
        "believe old quotes of shares",
        planted.believe_old_quotes,
        shares(an_hour(OLD_QUOTES)),
        frozenset({UNANNOUNCED}),
        venues=AT_IB,
    ),
    Bug(
        "believe old quotes of coins",
        planted.believe_old_quotes,
        coins(Hour(60, COINS, (OLD_QUOTES,))),
        frozenset({UNANNOUNCED}),
        venues=AT_BINANCE,
    ),
    Bug(
        "look for a HALT file once",
        planted.look_for_a_halt_file_once,
        shares(an_hour(Trouble("halt-file", at="hands.submit"))),
        frozenset({OBEYED}),
    ),
    Bug(
        "take protection down on HALT",
        planted.take_protection_down_on_halt,
        coins(
            Hour(60, COINS),
            Hour(60, COINS, happenings=(Happening("halt-file-between"),)),
            protect=True,
        ),
        frozenset({"protected"}),
        venues=AT_BINANCE,
    ),
    Bug(
        "forget at what price it was held",
        planted.forget_at_what_price_it_was_held,
        shares(
            an_hour(wanted={JNJ: "0.08"}),
            an_hour(wanted={}),
            Hour(1440, {}, happenings=(Happening("split-ahead", JNJ, "2"),)),
        ),
        frozenset({OBEYED}),
        venues=AT_IB,
    ),
    Bug(
        "send orders of any size",
        planted_ends.send_orders_of_any_size,
        shares(
            an_hour(),
            Hour(60, OTHERS, happenings=(Happening("config-changed", "", "0.05", LIMIT),)),
        ),
        frozenset({OBEYED}),
    ),
    Bug(
        "book what the venue closed without a word",
        planted_ends.book_what_the_venue_closed_without_a_word,
        HALTED,
        frozenset({OBEYED}),
    ),
    Bug(
        "sell again what an old account shows",
        planted_ends.sell_again_what_an_old_account_shows,
        shares(an_hour(), Hour(20, {}, (OLD_ACCOUNT,), command=FLATTEN)),
        frozenset({"only-reduces"}),
        venues=AT_IB,
    ),
    Bug(
        "end with zero whatever happened",
        planted.end_with_zero_whatever_happened,
        HALTED,
        frozenset({"truthful-report"}),
    ),
    Bug("tell nobody", planted.tell_nobody, BLIND, frozenset({"truthful-report"})),
    Bug("write no daily mail", planted.write_no_daily_mail, BLIND, frozenset({"truthful-report"})),
    Bug("commit nothing", planted.commit_nothing, A_NIGHT, frozenset({"truthful-report"})),
    Bug("commit no trades", planted.commit_no_trades, A_NIGHT, frozenset({"truthful-report"})),
    Bug(
        "commit every trade twice",
        planted.commit_every_trade_twice,
        A_NIGHT,
        frozenset({"truthful-report"}),
    ),
    Bug(
        "mail another number",
        planted.mail_another_number,
        shares(an_hour(), post=True),
        frozenset({"truthful-report"}),
    ),
    Bug(
        "adjust the books silently",
        planted.adjust_the_books_silently,
        shares(
            an_hour(),
            Hour(60, {}, happenings=(Happening("trade-by-hand", JNJ, "0.005"),)),
            calm=6,
        ),
        frozenset({"truthful-report"}),
    ),
    Bug(
        "tell of an adjustment afterwards",
        planted.tell_of_an_adjustment_afterwards,
        shares(
            an_hour(),
            Hour(1440, {}, happenings=(Happening("trade-by-hand", JNJ, "0.005"),)),
            Hour(60, {}, (Trouble("kill-file-after", at="append fills.jsonl:adjustment"),)),
            calm=4,
        ),
        frozenset({"truthful-report"}),
    ),
    Bug(
        "forget the record of a dead run",
        planted.forget_the_record_of_a_dead_run,
        shares(an_hour(Trouble("kill-port-after", at="hands.submit", nth=2)), an_hour()),
        frozenset({"monotone-states"}),
    ),
    Bug(
        "believe that a filled order works again",
        planted.believe_that_a_filled_order_works_again,
        PLAIN,
        frozenset({"monotone-states"}),
    ),
)
"""What a campaign must find."""
