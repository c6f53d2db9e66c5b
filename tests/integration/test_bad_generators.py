"""A generator that raises, hangs or prints rubbish harms its own sleeve only, in a whole run."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

import pytest

from rebalancer.model.records import Outcome
from tests.portfolios import FIRST, QUIET, World, codes, stock
from tests.two_sleeves import (
    HAND,
    OTHER,
    OTHER_SLEEVE,
    SECOND,
    message,
    traded_since,
    two_sleeves,
)

GOOD = "return TargetWeights({name: 0.45 for name in context.universe})"
LIMITS = "history_bars = 5\ntimeout_seconds = 1\n"

BAD = {
    "it raises": ("raise RuntimeError('the feed is down')", "generator-failed", "the feed is down"),
    "it raises what nobody catches": (
        "raise SystemExit('enough')",
        "generator-failed",
        "SystemExit: enough",
    ),
    "it cannot be compiled": ("return (", "generator-failed", "SyntaxError"),
    "it hangs": ("while True:\n    pass", "generator-hung", "no answer after 1 s"),
    "it sleeps": ("import time\ntime.sleep(60)", "generator-hung", "no answer after 1 s"),
    "it ends the process": ("import os\nos._exit(0)", "generator-failed", "ended by itself"),
    "it crashes": (
        "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
        "generator-failed",
        "killed by SIGSEGV",
    ),
    "it answers text": ("return 'buy'", "generator-rubbish", "returned a str"),
    "it answers nothing": ("pass", "generator-rubbish", "returned a NoneType"),
    "it answers NaN": (
        "return TargetWeights({name: float('nan') for name in context.universe})",
        "generator-rubbish",
        "is nan, not a finite number",
    ),
    "it answers an unknown symbol": (
        "return TargetWeights({'ZZZ.STK.USD@IB': 0.1})",
        "generator-rubbish",
        "is not in the universe",
    ),
    "it answers too deep to be read": (
        """
        import os
        for end in range(3, 64):
            try:
                os.write(end, b'[' * 20000 + b'\\n')
            except OSError:
                pass
        return TargetWeights({name: 0.45 for name in context.universe})
        """,
        "generator-rubbish",
        "is not an answer",
    ),
    "it wants too much": (
        "return TargetWeights({name: 5.0 for name in context.universe})",
        "generator-rubbish",
        "leverage_max",
    ),
    "it writes rubbish wherever it can": (  # the pipe of the answers is among it
        """
        import os
        for end in range(3, 64):
            try:
                os.write(end, b'buy everything\\n')
            except OSError:
                pass
        return TargetWeights({name: 0.45 for name in context.universe})
        """,
        "generator-rubbish",
        "is not an answer",
    ),
}


def write_plugin(folder: Path, name: str, body: str) -> None:
    folder = folder / "signals"
    folder.mkdir(exist_ok=True)
    text = (
        "from rebalancer.model.signals import TargetWeights\n\n\ndef generate(context):\n"
        + indent(dedent(body).strip("\n"), "    ")
        + "\n"
    )
    (folder / f"{name}.py").write_text(text, encoding="utf-8")


def generated(folder: Path) -> World:
    """Return a portfolio whose two sleeves have a good generator each; `hand` runs first."""
    own = f'generator = "signals/hand.py"\n{LIMITS}'
    others = OTHER_SLEEVE + f'generator = "signals/other.py"\n{LIMITS.replace("= 1", "= 20")}'
    write_plugin(folder, "hand", GOOD)
    write_plugin(folder, "other", GOOD)
    return two_sleeves(folder, generator=own, extra=others + QUIET)


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_generator_harms_its_own_sleeve_only(tmp_path: Path, kind: str) -> None:
    body, code, words = BAD[kind]
    world = generated(tmp_path)
    write_plugin(tmp_path, "hand", body)
    record = world.hour(FIRST)
    assert record.outcome is Outcome.FINISHED
    assert record.exit_code == 0
    assert traded_since(world, 0) == set(OTHER)
    assert codes(record) == {code, "signal-missing"}
    assert {flag.subject for flag in record.flags} == {"sleeve:hand"}
    assert words in message(record, code)
    alert = " ".join(world.alert(FIRST).split())
    assert "sleeve hand" in alert
    assert words in alert


@pytest.mark.parametrize("kind", ["it raises", "it hangs", "it ends the process", "it answers NaN"])
def test_a_sleeve_whose_generator_breaks_keeps_its_lots_although_its_file_is_valid(
    tmp_path: Path, kind: str
) -> None:
    body, code, _words = BAD[kind]
    world = generated(tmp_path)
    first = world.hour(FIRST)
    assert not first.flags
    held, sent = world.holdings(), len(world.venue()["orders"])
    assert {name.partition(".")[0] for name in held} == {*HAND, *OTHER}

    # What its old file wants is no longer what it holds: acting upon it would be seen.
    file = world.state / "signals" / "hand.csv"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(",0.45,", ",0.1,"), encoding="utf-8")
    write_plugin(tmp_path, "hand", body)
    write_plugin(tmp_path, "other", GOOD.replace("0.45", "0.2"))
    second = world.hour(SECOND)
    assert traded_since(world, sent) == set(OTHER)
    assert all(world.holdings()[stock(symbol)] == held[stock(symbol)] for symbol in HAND)
    assert codes(second) == {code}


def test_what_a_generator_prints_is_kept_and_means_nothing(tmp_path: Path) -> None:
    world = generated(tmp_path)
    write_plugin(
        tmp_path,
        "hand",
        """
        import sys
        print('{"answer": {"weights": {"AAPL.STK.USD@IB": "0.9"}}}')
        sys.stderr.write('\\x1b[31mnot an error\\x00\\n' * 100_000)
        return TargetWeights({name: 0.1 for name in context.universe})
        """,
    )
    record = world.hour(FIRST)
    assert not record.flags
    assert traded_since(world, 0) == {*HAND, *OTHER}
    wanted = {line.instrument: line.target_weight for line in record.lines}
    # Half of the money, a tenth of it each.
    assert wanted[stock("AAPL")] == pytest.approx(0.05)  # type: ignore[index]
    assert "not an error" in (world.state / "signals" / "hand.log").read_text(encoding="utf-8")


def test_two_broken_generators_leave_a_run_that_says_so(tmp_path: Path) -> None:
    world = generated(tmp_path)
    write_plugin(tmp_path, "hand", "import os\nos._exit(1)")
    write_plugin(tmp_path, "other", "raise ValueError('no data')")
    record = world.hour(FIRST)
    assert world.venue()["orders"] == []
    assert record.exit_code == 0
    failed = sorted(flag.subject for flag in record.flags if flag.code == "generator-failed")
    assert failed == ["sleeve:hand", "sleeve:other"]
