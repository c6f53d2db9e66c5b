"""`rebalancer cancel`: this portfolio's open orders end, also while halted."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from rebalancer.cli.by_hand import desk_by_hand, file_of, patiently, shown, trading_mode
from rebalancer.cli.opened import books_of, confirmed

if TYPE_CHECKING:
    from rebalancer.config import Config
    from rebalancer.model.records import RunRecord
    from rebalancer.working.by_hand import Left


def execute(arguments: Namespace) -> int:
    """Cancel own rebalance orders, with `--stops` protective ones; say what is left."""
    config, books = books_of(file_of(arguments), dry=False)
    trading_mode(config)
    halts = books.halt_reason()  # one that comes while we ask is new
    if arguments.stops:
        question = (
            f"\nThis will also cancel every protective stop of {config.name}: nothing at the venue "
            "limits a loss until a run that may send places new ones."
        )
        if not confirmed(config.name, question, arguments):
            return 0
    record, left = patiently(config, lambda: _cancel(config, halts, stops=arguments.stops))
    return shown(record.exit_code, lambda: _show(config, record, left, stops=arguments.stops))


def _cancel(config: Config, halts: str | None, *, stops: bool) -> tuple[RunRecord, Left]:
    from rebalancer.working.by_hand import cancel_by_hand
    from rebalancer.working.page import HaltSeen

    with desk_by_hand(config, trading_mode(config)) as (desk, slot):
        return cancel_by_hand(desk, slot, stops=stops, seen=HaltSeen(halts))


def _show(config: Config, record: RunRecord, left: Left, *, stops: bool) -> None:
    from rebalancer.cli.ended import folder_of
    from rebalancer.model.records import Outcome
    from rebalancer.reports.numbers import count

    for order in record.cancelled:
        name = order.reference or f"order {order.venue_id}"
        filled = f", {order.filled:f} of it traded" if order.filled else ""
        print(f"{name}: {order.quantity:+f} {order.instrument}: {order.status.value}{filled}")
    if record.outcome is Outcome.FAILED or left.orders is None:
        print("FAILED: what is left at the venue is not known. Look there.")
    elif left.orders:
        names = ", ".join(order.reference for order in left.orders)
        print(f"{count(len(left.orders), 'order')} of ours still there: {names}")
    else:
        print(f"No rebalancing order of {config.name} is left at the venue.")
    if left.stops:
        noun = "protective stop"
        words = "could not be cancelled" if stops else "stay as they are"
        print(f"{count(len(left.stops), noun)}: {words}.")
    _tell_flags(record)
    print(f"Written to {folder_of(config, record.mode, record.slot)}")


def _tell_flags(record: RunRecord) -> None:
    from rebalancer.reports.explain import flag_line

    for flag in record.flags:
        print(flag_line(flag))
