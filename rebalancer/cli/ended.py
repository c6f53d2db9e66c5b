"""How a call of `rebalancer run` ended: in words, and as JSON for programs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rebalancer.config import Config
from rebalancer.model.records import Mode, RunRecord
from rebalancer.reports.summary import lead_text, summary_text
from rebalancer.store.books import slot_name
from rebalancer.wiring import books_for


@dataclass(frozen=True)
class Idle:
    """A call in which there was nothing to run: the slot it was for, if any, and why."""

    slot: datetime | None
    reason: str


def answer(config: Config, mode: Mode, done: RunRecord | Idle) -> dict[str, Any]:
    """Return what became of a call as plain JSON values; amounts are strings."""
    from rebalancer.model.codec import to_plain
    from rebalancer.reports.rows import order_rows

    plain: dict[str, Any] = {"portfolio": config.name, "mode": mode.value}
    if isinstance(done, Idle):
        slot = to_plain(done.slot)
        return plain | {"slot": slot, "outcome": "idle", "exit_code": 0, "reason": done.reason}
    worth = {"before": done.before, "after": done.after}
    return plain | {
        "slot": to_plain(done.slot),
        "outcome": done.outcome.value,
        "exit_code": done.exit_code,
        "orders": [to_plain(row) for row in order_rows(done) if not row.gate],
        "refused": [
            {
                "instrument": each.intent.instrument,
                "quantity": to_plain(each.intent.quantity),
                "gate": each.gate,
                "reason": each.reason,
            }
            for each in done.refused
        ],
        "flags": [to_plain(flag) for flag in done.flags],
        "net_liquidation": {
            when: None if seen is None else to_plain(seen.net_liquidation)
            for when, seen in worth.items()
        },
        "folder": str(folder_of(config, mode, done.slot)),
    }


def folder_of(config: Config, mode: Mode, slot: datetime) -> Path:
    """Return the folder in which a run of a slot leaves what it did."""
    return books_for(config, mode).root / "runs" / slot_name(slot)


def show(config: Config, mode: Mode, done: RunRecord | Idle, *, brief: bool = False) -> None:
    """Print what the run did, and where it left it; `brief` leaves the tables out."""
    if isinstance(done, Idle):
        name = config.name if done.slot is None else f"{config.name} {slot_name(done.slot)}"
        print(f"{name}: {done.reason}")
        return
    print(lead_text(done) if brief else summary_text(done))
    print(f"Written to {folder_of(config, mode, done.slot)}")
