"""Damage to the configuration: everything wrong is named by file and key, or the run is a run."""

from __future__ import annotations

import random
import re
from pathlib import Path

from rebalancer.config import load
from rebalancer.errors import ConfigError
from tests.fuzz.damage import NUMBERS, damaged_bytes
from tests.fuzz.worlds import SECOND, command, lived, surroundings
from tests.portfolios import copy_world, stamp

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ("portfolio.example.toml", "portfolio.binance.example.toml")
VALUES = (
    *(number for number in NUMBERS if number.strip()), *(f'"{number}"' for number in NUMBERS),
    '"x"', '""', '"\\u0000"', '"\\u202e"', '"../../x"', "[]", "{}", "[[]]", '["x"]', '[""]', "[1]",
    "{ a = 1 }", '{ USD = "x" }', "{ USD = -1 }", "false", "2020-03-02", "2020-03-02T15:05:00Z",
    "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "07:32:00", "1e400", "-1e400", "nan", "-inf",
    "0.1", "1e-300", "9" * 400, '"' + "x" * 3000 + '"', '"AAPL.STK.USD@IB"', '"paper"', '"live"',
    "[" * 60 + "]" * 60, '"""\nx\n"""', "'\\'", '"""', "=", "",
)  # fmt: skip


def case(seed: int) -> str:
    """Damage a configuration, load it, sometimes run it; return what was done."""
    rng = random.Random(f"config {seed}")
    with surroundings() as folder:
        runs = rng.random() < 0.25
        name = "demo.toml"
        path = folder / name
        if runs:
            text = lived().path.read_text(encoding="utf-8")
        else:
            text = (ROOT / rng.choice(EXAMPLES)).read_text(encoding="utf-8")
            text = re.sub(r"(?m)^# (?=[a-z_]+ = |\[)", "", text) if rng.random() < 0.3 else text
        damaged, what = _damage(rng, text)
        try:
            if runs:
                copy_world(lived(), folder)
            path.write_bytes(damaged)
            good = _load(path)
            if runs:
                ended = command("run", "-c", str(path), "--at", stamp(SECOND))
                assert good or ended.code == 2, ended
            elif rng.random() < 0.1:
                command("check", str(path))
            if rng.random() < 0.1:
                command("watchdog", "-c", str(path))
                command("halt", "-c", str(path))
        except BaseException as error:
            error.add_note(f"seed {seed}: {what}")
            raise
    return what


def _load(path: Path) -> bool:
    """Return whether a configuration is a good one; judge what is said of a bad one."""
    try:
        load(path, {})
    except ConfigError as error:
        assert error.problems
        for problem in error.problems:
            assert problem.file == str(path)
            assert problem.key and problem.message, problem
            words = str(problem)
            assert len(words) < 3000, words
            assert all(letter.isprintable() for letter in words), ascii(words)
        return False
    return True


def _damage(rng: random.Random, text: str) -> tuple[bytes, str]:
    if rng.random() < 0.15:
        return damaged_bytes(rng, text.encode()), "bytes"
    lines = text.splitlines()
    said = []
    for _ in range(rng.choice((1, 1, 2, 3))):
        places = [place for place, line in enumerate(lines) if re.match(r"\s*[a-z_]+\s*=", line)]
        place = rng.choice(places)
        key = lines[place].partition("=")[0].strip()
        way = rng.randrange(8)
        if way <= 3:
            lines[place] = f"{key} = {rng.choice(VALUES)}"
        elif way == 4:
            del lines[place]
        elif way == 5:
            lines.insert(place, lines[place])
        elif way == 6:
            lines[place] = lines[place].replace(key, rng.choice((f"{key}s", key[1:], key.upper())))
        else:
            lines[place] = lines[rng.choice(places)]
        said.append(lines[place] if place < len(lines) else key)
    return "\n".join(lines).encode("utf-8", "surrogatepass"), "; ".join(said)[:400]
