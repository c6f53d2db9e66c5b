"""docs/GATES.md, made from the tables: `python -m rebalancer.config.gates_document`.

A test holds the page and the tables together.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

from rebalancer.model.flag_table import FLAG_TABLE
from rebalancer.model.flags import FlagKind, Severity
from rebalancer.planning.parameters import PlanParameters
from rebalancer.risk.breakers import BREAKERS
from rebalancer.risk.clearing import EFFECTS
from rebalancer.risk.gates import GATES
from rebalancer.risk.joint import JOINT_GATES
from rebalancer.risk.parameters import DAYS, Limits, Override

_HEAD = """# Gates and breakers

What keeps an order from being sent. This page is made from the program's own tables (`python -m
rebalancer.config.gates_document > docs/GATES.md`); a test keeps it true. Every key named here
stands in `[risk]` of the portfolio's file, or in `[planning]` where that is written before it, with
its default in brackets; [CONFIG.md](CONFIG.md) explains them all, and
[OPERATIONS.md](OPERATIONS.md) says what to do about each flag.

## The gates of an order

Step 7 asks them in this order. The first no is the reason; it is kept with the gate's name in
`record.json` and told in plain words. Nothing approved can pass a limit: only what comes out of
this table is a type that the rest of the program can send.

Amounts are taken at the order's limit. One that is moved while it works may trade up to its worst
approved price, `worst_price_bps` of `[execution]` (50) from its reference, and so cost that much
more than a limit in money says. What is approved may go out for `window_seconds` and a minute, and
never in the minutes before the close that `order_window_before_close_minutes` keeps free (a command
of the owner's until the close; a market that never closes has none): a buy that waits for the
proceeds of sales is sent at the limit that was approved, however old its quote is by then, or not
at all. What rests when its approval ends gets no other price and nothing follows it; it is left to
end with the day, or cancelled, as at the end of `window_seconds`.

"""

_REDUCTIONS = """
Reductions are not exempt, but from `reducing`, `leaving` and `short`, from `reduce_only` of
`override`, and from a `hold` of `symbol-loss`: these are about openings only. What may be
reduced is proved from the account, not taken from the plan. A reduction that is more than `size`,
`participation`, `grid` and `venue-notional` let through in one order is cut by the plan already: it
goes in pieces, one a run (never one leg of a `neutral` sleeve, unless the venue closes it). What
opens is not cut but refused.

"""

_JOINT = """## The gates of all orders together

Then all orders that are left are put into the account one after the other, reductions first,
and these are asked of each. An order that was refused keeps its place: what it would have used
is not given to another in this run. They are asked again each time something is released while
orders are worked, with what has really been executed.

`orders` counts what was sent: an order that follows another, anew at another price or for its open
rest, is one more, and where it would be one too many the rest stays unsent (`order-refused`). A
reduction may go beyond each of these limits by half, rounded down: a limit that was used up by
orders that followed others does not keep a portfolio in. Reductions of `rebalancer flatten` are not
bounded by `orders`: that command has a bound of its own.

"""

_LATER = """
A refusal may bear one of these names too; they stand in no order of asking:

"""

LATER: Sequence[tuple[str, str, tuple[str, ...], str]] = (
    (
        "fee",
        "Refuse an order whose fee cannot be converted to its currency.",
        (),
        "`order-refused`",
    ),
    (
        "reversal",
        "Refuse the opening part of a turn to the other side while its closing part is refused, "
        "or has not closed everything.",
        (),
        "`order-refused`; once orders are worked `not-funded`",
    ),
    (
        "neutral",
        "Refuse every order of a `neutral` sleeve of which one does not trade, or was dropped.",
        (),
        "`order-refused`",
    ),
    (
        "margin-preview",
        "Refuse what the venue's answer on the margin does not allow, or what has none.",
        ("margin_previews", "margin_cushion", "margin_rate"),
        "`order-refused`",
    ),
    (
        "time",
        "Drop what waited for others when the time for working orders was over.",
        (),
        "`not-funded`",
    ),
)
"""Name, what it does, its keys of [risk] and its flag: no row of a gate's table refuses so."""

_AFTER = """
Last, the venue is asked what the orders would do to the margin (`margin_previews`,
`margin_cushion`): no answer is a no; in a dry run nobody is asked, and our own estimate
(`margin_rate`) is marked as such. A sleeve marked `neutral` trades all of its orders or none:
while they are worked it opens nothing before all that it opens may go, and sells nothing while what
it sells would not be enough to let the others go. When one is refused, rejected or dropped, the
others of it go too: what waits is refused, what works is cancelled, and nothing follows them; only
what was executed by then stays. The way out of what the venue closes waits for no other. Before
each message: HALT files, the deadline, `reject-rate` of this run's own orders as far as the venue
has answered (no other breaker), the approval's own end, and a price that is not worse than the
approved one.

## One instrument

`[[instrument]]` takes what you want of one instrument, whatever its signals say. The plan knows
`no_trading` and `reduce_only`: what may not be traded is wanted as it is held, and nothing counts
on trades that cannot be; its row in the order file says so. The gate `override` stands behind that,
for commands too; the joint gate `concentration` holds the bounds. `scale` changes the targets
before anything is planned, and what it leaves stays cash.

"""

_BREAKERS = """## Breakers

Step 4 evaluates them before anything is planned (`turnover-odd` when the plan is made, and
`reject-rate` again while orders go out), and what trips is *latched*: it is written to
`breakers.json`, it stands through every restart, and it is raised again in every run until its
rule ends it or you do. The order in which they
are asked does not matter. A halted run never moves what they are measured against; booked
deposits and withdrawals are no profit and no loss. Only Binance USDⓈ-M tells of them: at
Interactive Brokers and on Binance spot they count like any other change of the account's value
([OPERATIONS.md](OPERATIONS.md#paying-in-and-out)). `rebalancer resume` and `rebalancer status`
show each with since, until, and who may end it.

The trading state follows from what is latched: **HALTED**: nothing is sent; **REDUCING**: only
orders that make a position smaller; **ACTIVE**. Where it says *holds its instrument*,
everything else goes on.

"""

_WHY = """
Losses of the whole book within hours (`book-loss`) end in REDUCING, not in HALTED: a book that
loses must have a way out, it can only get smaller, and behind it `daily-loss` and `drawdown`
halt. The loss of a session counts from the last accepted net liquidation of the session before,
so that a gap over night is in it. After a session that passed its limit the next one begins
with the value of that moment: each session has a limit of its own.

A window of hours (`symbol-loss`, `book-loss`) stands for one whole window after the loss was
seen last. Losses of one instrument are realised ones (average cost, fees and funding in them),
as our own `fills.jsonl` has them; what is not realised is in the losses of the book.
"""


_BREAKER_HEAD = (
    "Breaker",
    "State",
    "What",
    "Against",
    "Limits",
    "Ends by itself with",
    "Ended by",
    "Clearing it",
)


def document() -> str:
    """Return the whole page."""
    return "".join(
        (
            _HEAD,
            _table(("Gate", "What it does", "Limits", "Flag"), _gates()),
            _REDUCTIONS,
            _JOINT,
            _table(("Gate", "What it does", "Limits", "Reductions"), _joint_gates()),
            _LATER,
            _table(("Gate", "What it does", "Limits", "Flag"), _later()),
            _AFTER,
            _table(("Key", "Default"), _overrides()),
            "\n",
            _BREAKERS,
            _table(
                _BREAKER_HEAD,
                _breakers(),
            ),
            _WHY,
        )
    )


def _gates() -> Iterable[Sequence[str]]:
    for gate in GATES:
        flag = f"`{gate.raises}`" if gate.raises else "said already"
        yield f"`{gate.name}`", _first_line(gate.check), _limits(gate.limits), flag


def _joint_gates() -> Iterable[Sequence[str]]:
    for gate in JOINT_GATES:
        passes = "pass" if gate.exempts else "count too"
        keys = _limits(gate.limits, gate.planning)
        yield f"`{gate.name}`", _first_line(gate.check), keys, passes


def _later() -> Iterable[Sequence[str]]:
    for name, words, limits, flag in LATER:
        yield f"`{name}`", words, _limits(limits), flag


def _overrides() -> Iterable[Sequence[str]]:
    for each in fields(Override):
        yield f"`{each.name}`", _shown(each.default)


def _breakers() -> Iterable[Sequence[str]]:
    rows = {code: breaker for breaker in BREAKERS for code in breaker.codes}
    for kind in FLAG_TABLE.values():
        if not kind.latched:
            continue
        breaker = rows.get(kind.code)
        yield (
            f"`{kind.code}`",
            state_of(kind),
            kind.meaning,
            "what the venue says" if breaker is None else breaker.against,
            "none" if breaker is None else _limits(breaker.limits),
            kind.clears,
            kind.ended_by,
            EFFECTS[kind.code][0] if kind.code in EFFECTS else f"`{kind.command}`",
        )


def state_of(kind: FlagKind) -> str:
    """Return what a latched flag of this kind makes of the run."""
    if kind.severity is Severity.HALT:
        return "HALTED"
    if kind.scope == "run":
        return "REDUCING"
    reduces = kind.code == "symbol-loss"
    return "ACTIVE; its instrument only reduces" if reduces else "ACTIVE; holds its instrument"


def _limits(names: Iterable[str], planning: Iterable[str] = ()) -> str:
    defaults = {each.name: _shown(each.default) for each in fields(Limits)} | _of_days(Limits())
    planned = {each.name: _shown(each.default) for each in fields(PlanParameters)}
    keys = [f"`{name}` ({defaults[name]})" for name in names]
    keys += [f"`planning.{name}` ({planned[name]})" for name in planning]
    return ", ".join(keys) or "none"


def _of_days(limits: Limits) -> dict[str, str]:
    """Return what holds for several sessions where nothing is said of them."""
    words = f"not set: {DAYS} times that of a session, "
    return {
        "max_orders_per_days": f"{words}{limits.orders_of_days}",
        "max_turnover_per_days": f"{words}{limits.turnover_of_days.normalize():f}",
    }


def _shown(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) or "none"


def _first_line(check: Any) -> str:
    words = (check.__doc__ or "").strip().partition("\n")[0]
    return str(words)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document())
