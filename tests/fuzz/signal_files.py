"""Damage to signal files: the sleeve is held and the file named, or the signal is as it says."""

from __future__ import annotations

import os
import random
from datetime import timedelta
from decimal import Decimal

from rebalancer.errors import DataError
from rebalancer.model.signal_file import parse_signal
from tests.fuzz.damage import damaged_bytes, damaged_lines, damaged_row
from tests.fuzz.worlds import SECOND, command, lived, sent_since, surroundings
from tests.portfolios import copy_world, stamp


def case(seed: int) -> str:
    """Damage a signal file and read it, sometimes in a whole run; return what was done."""
    rng = random.Random(f"signal {seed}")
    world = lived()
    sleeve = world.config().sleeves[0]
    path = world.state / "signals" / "hand.csv"
    content = path.read_bytes()
    how = rng.choice(("bytes", "lines", "row", "row", "row"))
    if how == "bytes":
        damaged = damaged_bytes(rng, content, b"instrument\n")
    elif how == "lines":
        damaged = damaged_lines(rng, content)
    else:
        head, *rows = content.splitlines(keepends=True)
        place = rng.randrange(len(rows))
        rows[place] = damaged_row(rng, rows[place])
        damaged = b"".join([head, *rows])
    what = f"{how}: {damaged[:300]!r}"
    try:
        good = False
        try:
            signal = parse_signal(damaged.decode("utf-8"), sleeve, SECOND + timedelta(minutes=1))
            total = sum(abs(target) for target in signal.targets.values())
            if signal.unit.value == "weight":
                assert Decimal(total) * Decimal(signal.leverage) <= sleeve.leverage_max
            good = True
        except UnicodeDecodeError:
            pass
        except DataError as error:
            assert str(error)
        if seed % 8 == 0:
            _run(damaged, good=good)
    except BaseException as error:
        error.add_note(f"seed {seed}: {what}")
        raise
    return what


def _run(damaged: bytes, *, good: bool) -> None:
    """Run an hour on a damaged signal file."""
    with surroundings() as folder:
        world = copy_world(lived(), folder)
        before = len(world.venue()["orders"])
        path = world.state / "signals" / "hand.csv"
        path.write_bytes(damaged)
        os.utime(path, (path.stat().st_mtime - 60,) * 2)
        ended = command("run", "-c", str(world.path), "--at", stamp(SECOND))
        assert ended.code == 0, ended
        if good:
            return
        assert not sent_since(world.venue(), before)
        (flag,) = [flag for flag in world.last().flags if flag.subject == "sleeve:hand"]
        assert "signals/hand.csv" in flag.message
