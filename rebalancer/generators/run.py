"""Runs the sleeves' plug-ins, one after the other, and writes their signal files."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from rebalancer.errors import DataError
from rebalancer.generators.interpreter import ChildBabbled, ChildDied, ChildHung, Interpreter
from rebalancer.model.flag_table import FLAG_TABLE
from rebalancer.model.flags import ErrorFlag, Step
from rebalancer.model.panel import Floats, Histories, Panel, Times
from rebalancer.model.signal_file import format_signal, signal_file_name, signal_of
from rebalancer.model.signals import Coverage, Signal, TargetWeights
from rebalancer.model.universe import Sleeve

_LONGEST_MESSAGE = 600
_CONSEQUENCE = "its signal file was not written"


class _Files(Protocol):
    def make_folder(self, path: Path, /) -> None: ...
    def replace(self, path: Path, content: bytes, /) -> None: ...


class ChildGenerators:
    """The owner's strategies, run in one child interpreter that lives as long as one call.

    `folder` receives `<sleeve>.csv`, and `<sleeve>.log` when a plug-in printed something.
    A sleeve's `generator` path is taken from `plugins` when it is relative.
    """

    def __init__(self, folder: Path, plugins: Path, files: _Files) -> None:
        self._folder, self._plugins, self._files = folder, plugins, files
        self._child: Interpreter | None = None

    def write(
        self, sleeves: Sequence[Sleeve], panel: Panel | Histories, now: datetime
    ) -> tuple[ErrorFlag, ...]:
        """Run every generator and write its signal file; a failure flags its own sleeve only.

        A failing generator leaves its old file as it is: the file's own times say when it
        is too old. A sleeve without a generator is left to the program that writes its file.
        """
        flags = []
        self._files.make_folder(self._folder)
        try:
            for sleeve in sleeves:
                if not sleeve.generator:
                    continue
                answer, output = self._run(sleeve, panel, now)
                if isinstance(answer, ErrorFlag):
                    flags.append(answer)
                else:
                    name = signal_file_name(sleeve.name)
                    self._files.replace(self._folder / name, format_signal(answer[1]).encode())
                if output:
                    self._files.replace(self._folder / f"{sleeve.name}.log", output.encode())
        finally:
            self._end()
        return tuple(flags)

    def run_one(
        self, sleeve: Sleeve, panel: Panel | Histories, now: datetime
    ) -> tuple[TargetWeights | ErrorFlag, str]:
        """Return one generator's answer, or why it has none, and what it printed.

        Writes nothing.
        """
        try:
            answer, output = self._run(sleeve, panel, now)
        finally:
            self._end()
        return (answer if isinstance(answer, ErrorFlag) else answer[0]), output

    def _run(
        self, sleeve: Sleeve, panel: Panel | Histories, now: datetime
    ) -> tuple[tuple[TargetWeights, Signal] | ErrorFlag, str]:
        """Run one generator; a child that did not answer is ended, the next sleeve gets another."""
        plugin = (self._plugins / Path(sleeve.generator).expanduser()).absolute()
        if not sleeve.generator or not plugin.is_file():
            return _flag("generator-failed", sleeve, f"there is no file {plugin}"), ""
        try:
            signal_file_name(sleeve.name)
            bars = panel if isinstance(panel, Panel) else panel.of(sleeve.bars)
            rates = panel.funding if isinstance(panel, Histories) and sleeve.funding else None
            request = _request(sleeve, plugin, bars, rates, now)
            if self._child is None:
                self._child = Interpreter()
            reply = self._child.ask(request, sleeve.timeout_seconds)
        except ChildHung as error:
            return self._hung(sleeve, plugin, error)
        except ChildDied as error:
            code, why, output = "generator-failed", str(error), self._end()
        except ChildBabbled as error:
            code, why, output = "generator-rubbish", str(error), self._end()
        except (DataError, TypeError) as error:
            code, why, output = "generator-failed", str(error), ""
        else:
            output = self._child.output()
            answer = _judged(sleeve, plugin, reply, now)
            if isinstance(answer, ErrorFlag):
                # What else it has written must not be taken for the next sleeve's answer.
                output += self._end()
            return answer, output
        last = _last_line(output)
        return _flag(code, sleeve, f"{plugin.name}: {why}{last}"), output

    def _hung(self, sleeve: Sleeve, plugin: Path, error: ChildHung) -> tuple[ErrorFlag, str]:
        if self._child is not None:
            self._child.show_stack()
        output = self._end()
        stack = output.rpartition("most recent call first")[2]
        found = re.findall(rf'File "{re.escape(str(plugin))}", (line \d+ in \S+)', stack)
        where = f"{found[0]}: " if found else ""
        limit = "; raise the sleeve's timeout_seconds if it only needs longer"
        return _flag("generator-hung", sleeve, f"{plugin.name}: {where}{error}{limit}"), output

    def _end(self) -> str:
        """End the child, if any; return what it printed last."""
        child, self._child = self._child, None
        if child is None:
            return ""
        child.close()
        return child.output()


def _request(
    sleeve: Sleeve, plugin: Path, panel: Panel, funding: Panel | None, now: datetime
) -> bytes:
    """Return what the child needs: one line of JSON, times and closes, times and rates.

    The closes are the last `history_bars` bars up to `now` of the sleeve's own instruments;
    bars in which none of them has a close are those of other calendars and left out.
    """
    known = panel.up_to(now).select(sleeve.universe)
    rows = np.flatnonzero(~np.isnan(known.values).all(axis=1))[-sleeve.history_bars :]
    rates = None if funding is None else funding.up_to(now).select(sleeve.universe)
    header = {
        "sleeve": sleeve.name,
        "plugin": str(plugin),
        "now": now.astimezone(UTC).isoformat(),
        "universe": list(sleeve.universe),
        "bars": len(rows),
        "rates": None if rates is None else len(rates),
        "seconds": sleeve.timeout_seconds,
        "parameters": dict(sleeve.parameters),
    }
    line = json.dumps(header, default=_parameter).encode("ascii") + b"\n"
    parts = [line, *_columns(known.times[rows], known.values[rows])]
    if rates is not None:
        parts += _columns(rates.times, np.round(rates.values - 1.0, 12))
    return b"".join(parts)


def _columns(times: Times, values: Floats) -> list[bytes]:
    return [
        np.ascontiguousarray(times, np.int64).tobytes(),
        np.ascontiguousarray(values, np.float64).tobytes(),
    ]


def _parameter(value: object) -> Any:
    """Return a configured value as a plug-in gets it: numbers as floats, times as text."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"a parameter of type {type(value).__name__} cannot be handed to a plug-in")


def _judged(
    sleeve: Sleeve, plugin: Path, reply: bytes, now: datetime
) -> tuple[TargetWeights, Signal] | ErrorFlag:
    """Return an answer that may be written, or the flag that says why it may not."""
    try:
        said = json.loads(reply)
        if "failed" in said:
            return _flag("generator-failed", sleeve, f"{plugin.name}: {said['failed']}")
        if "rubbish" in said:
            return _flag("generator-rubbish", sleeve, f"{plugin.name}: {said['rubbish']}")
        plain, fingerprint = said["answer"], str(said["fingerprint"])
        seconds = plain["valid_for"]
        answer = TargetWeights(
            weights={name: float(weight) for name, weight in plain["weights"].items()},
            leverage=float(plain["leverage"]),
            coverage=Coverage(plain["coverage"]),
            valid_for=None if seconds is None else timedelta(seconds=seconds),
        )
        signal = signal_of(answer, sleeve, now, generator=plugin.stem[:64], fingerprint=fingerprint)
    except (
        DataError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError,
    ) as error:  # fmt: skip
        known = isinstance(error, DataError)
        why = str(error) if known else f"what came back is not an answer ({error})"
        return _flag("generator-rubbish", sleeve, f"{plugin.name}: {why}")
    return answer, signal


def _flag(code: str, sleeve: Sleeve, why: str) -> ErrorFlag:
    shown = " ".join("".join(c if c.isprintable() else " " for c in why).split())
    if len(shown) > _LONGEST_MESSAGE:
        shown = f"{shown[:_LONGEST_MESSAGE]}..."
    message = f"sleeve {sleeve.name}: {shown}; {_CONSEQUENCE}"
    return ErrorFlag(
        Step.SIGNALS, code, f"sleeve:{sleeve.name}", FLAG_TABLE[code].severity, message
    )


def _last_line(output: str) -> str:
    lines = output.strip().splitlines()
    return f"; it last printed: {lines[-1][:200]}" if lines else ""
