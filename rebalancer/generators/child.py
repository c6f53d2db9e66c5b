"""The child interpreter's side: runs one plug-in after another and answers over a pipe.

The parent (`interpreter.py`) starts it with nothing in its environment that is worth
stealing. A request is one JSON line followed by the panel's bytes; an answer is one JSON
line. What a plug-in prints goes to another pipe and cannot be taken for an answer.
"""

from __future__ import annotations

import contextlib
import faulthandler
import hashlib
import json
import math
import numbers
import os
import resource
import signal
import sys
import traceback
import types
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import numpy as np

from rebalancer.model.instrument import InstrumentId
from rebalancer.model.panel import Panel
from rebalancer.model.signals import Context, Coverage, FundingRates, TargetWeights

GRACE_SECONDS = 10.0
"""How long after its time limit a plug-in kills itself when no parent is there to do it."""


class Rubbish(Exception):
    """What a plug-in answered is not an answer."""


def main() -> None:
    """Serve requests until the parent hangs up. Arguments: root folder, two pipe ends."""
    requests = os.fdopen(int(sys.argv[2]), "rb")
    replies = os.fdopen(int(sys.argv[3]), "wb", buffering=0)
    _prepare()
    own, path = os.getpid(), list(sys.path)
    _send(replies, {"ready": True})
    while line := requests.readline():
        ask = json.loads(line)
        bars, columns = ask["bars"], len(ask["universe"])
        times, values = _table(requests, bars, columns)
        funding = None
        if ask["rates"] is not None:
            funding = FundingRates(*_table(requests, ask["rates"], columns))
        sys.path[:] = path
        _arm(ask["seconds"])
        reply = _reply(ask, times, values, funding)
        signal.setitimer(signal.ITIMER_REAL, 0)
        if os.getpid() != own:  # the plug-in forked, and this is the copy
            os._exit(0)
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
        _send(replies, reply)


def _table(requests: IO[bytes], rows: int, columns: int) -> tuple[Any, Any]:
    """Return times and values as they stand next on the pipe; read-only arrays."""
    times = np.frombuffer(requests.read(8 * rows), np.int64)
    values = np.frombuffer(requests.read(8 * rows * columns), np.float64)
    return times, values.reshape(rows, columns)


def _prepare() -> None:
    """Leave no core files, and be the first to go when memory runs out."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _arm(seconds: float) -> None:
    """Die when the parent has died, and show where we are when it asks."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds + GRACE_SECONDS)
    faulthandler.register(signal.SIGUSR1, file=2, all_threads=False, chain=False)


def _send(replies: IO[bytes], reply: Mapping[str, Any]) -> None:
    left = memoryview(json.dumps(reply).encode("ascii") + b"\n")
    while left:
        left = left[replies.write(left) :]


def _reply(
    ask: Mapping[str, Any], times: Any, values: Any, funding: FundingRates | None
) -> dict[str, Any]:
    """Run one plug-in; whatever it does, there is a reply."""
    plugin = Path(ask["plugin"])
    try:
        context = Context(
            now=datetime.fromisoformat(ask["now"]),
            sleeve=ask["sleeve"],
            universe=tuple(InstrumentId(name) for name in ask["universe"]),
            closes=Panel(tuple(InstrumentId(name) for name in ask["universe"]), times, values),
            parameters=types.MappingProxyType(ask["parameters"]),
            funding=funding,
        )
        os.chdir(plugin.parent.parent)
        source = plugin.read_bytes()
        fingerprint = hashlib.sha256(source).hexdigest()[:12]
        answer = _load(plugin, source).generate(context)
        return {"answer": _plain(answer), "fingerprint": fingerprint}
    except Rubbish as error:
        return {"rubbish": str(error)}
    except BaseException as error:  # SystemExit and KeyboardInterrupt harm their sleeve only
        return {"failed": _words(error, plugin)}


def _load(plugin: Path, source: bytes) -> types.ModuleType:
    """Execute a plug-in's source as a module of its own name, found by path.

    The bytes that run are the bytes of the fingerprint: no cache is read or written.
    """
    name = f"signal_plugin_{plugin.stem}"
    module = types.ModuleType(name)
    module.__file__ = str(plugin)
    sys.modules[name] = module
    sys.argv = [str(plugin)]
    exec(compile(source, str(plugin), "exec"), module.__dict__)  # noqa: S102 - the owner's file
    if not callable(getattr(module, "generate", None)):
        raise Rubbish("it has no function generate(context)")
    return module


def _plain(answer: object) -> dict[str, Any]:
    """Return an answer as JSON holds it, numbers as text: the parent judges them."""
    if not isinstance(answer, TargetWeights):
        raise Rubbish(f"generate returned a {type(answer).__name__}, not TargetWeights")
    weights: object = answer.weights
    if not isinstance(weights, Mapping):
        kind = type(weights).__name__
        hint = "; use .to_dict()" if hasattr(weights, "to_dict") else ""
        raise Rubbish(f"weights is a {kind}, not a mapping from instrument to number{hint}")
    for name in answer.weights:
        if not isinstance(name, str):
            raise Rubbish(f"weights has a key that is not an instrument: {_short(name)}")
    if not (answer.valid_for is None or isinstance(answer.valid_for, timedelta)):
        raise Rubbish(f"valid_for is {_short(answer.valid_for)}, not a timedelta")
    if answer.coverage not in list(Coverage):
        raise Rubbish(f"coverage is {_short(answer.coverage)}, not complete or partial")
    return {
        "weights": {
            str(name): _number(weight, f"weight of {name}")
            for name, weight in answer.weights.items()
        },
        "leverage": _number(answer.leverage, "leverage"),
        "coverage": Coverage(answer.coverage).value,
        "valid_for": None if answer.valid_for is None else answer.valid_for.total_seconds(),
    }


def _number(value: object, what: str) -> str:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (numbers.Real, Decimal)):
        raise Rubbish(f"{what} is {_short(value)}, not a number")
    number = float(value)
    if not math.isfinite(number):
        raise Rubbish(f"{what} is {number}, not a finite number")
    return repr(number)


def _short(value: object) -> str:
    try:
        text = repr(value)
    except BaseException:  # a plug-in's own class may do anything
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}..."


def _words(error: BaseException, plugin: Path) -> str:
    """Say what was raised and on which line of the plug-in; print the whole for the log."""
    with contextlib.suppress(BaseException):
        traceback.print_exception(error, file=sys.__stderr__)
    try:
        said = str(error)
    except BaseException:
        said = ""
    words = f"{type(error).__name__}: {said}" if said else type(error).__name__
    if isinstance(error, SyntaxError) and error.filename == str(plugin):
        return f"line {error.lineno}: {type(error).__name__}: {error.msg}"
    lines = [
        f"line {frame.lineno} in {frame.name}: "
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(plugin)
    ]
    return f"{lines[-1] if lines else ''}{words}"
