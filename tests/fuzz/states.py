"""Damage to every file of a state folder: the next run refuses clearly, or is as if untouched."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

from tests.fuzz.damage import damaged_bytes, damaged_json, damaged_lines
from tests.fuzz.worlds import (
    SECOND,
    command,
    judge_orders,
    lived,
    sent_since,
    surroundings,
    undisturbed,
)
from tests.portfolios import World, copy_world, stamp

LOOKING = ("status", "orders", "resume", "check", "watchdog", "adopt")


def case(seed: int) -> str:
    """Damage one file of a state folder, look at it and run an hour; return what was done."""
    rng = random.Random(f"state {seed}")
    allowed = undisturbed()
    with surroundings() as folder:
        world = copy_world(lived(), folder)
        orders = len(world.venue()["orders"])
        what = _damage(rng, world)
        path = str(world.path)
        try:
            if rng.random() < 0.3:
                looked = rng.choice(LOOKING)
                command(looked, *([path] if looked == "check" else ["-c", path]))
            ended = command("run", "-c", path, "--at", stamp(SECOND))
            if "paper/" in what:  # the venue's own books: what it says there is so
                return what
            judge_orders(sent_since(world.venue(), orders), allowed)
            if ended.code == 9:
                words = " ".join((ended.out + ended.err).split())
                assert Path(what.rpartition(":")[0]).name in words or str(folder) in words, ended
                assert len(world.venue()["orders"]) == orders, "it refused, and ordered"
        except BaseException as error:
            error.add_note(f"seed {seed}: {what}")
            raise
    return what


def _damage(rng: random.Random, world: World) -> str:
    """Damage one file; return which and how."""
    root = world.state.parent
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.name != "lock")
    path = rng.choice(files)
    name = path.relative_to(root).as_posix()
    content = path.read_bytes()
    how = rng.choice(("bytes", "bytes", "text", "text", "text", "text", "gone", "other", "odd"))
    if how == "text":
        path.write_bytes(_text(rng, path, content))
    elif how == "bytes":
        path.write_bytes(damaged_bytes(rng, content, rng.choice(files).read_bytes()))
    elif how == "gone":
        path.unlink()
    elif how == "other":
        path.write_bytes(rng.choice(files).read_bytes())
    else:
        _odd(rng, path)
    return f"{name}: {how}"


def _text(rng: random.Random, path: Path, content: bytes) -> bytes:
    if path.suffix in (".jsonl", ".csv", ""):
        return damaged_lines(rng, content)
    if path.suffix == ".json":
        return damaged_json(rng, json.loads(content)).encode("utf-8", "surrogatepass")
    return damaged_bytes(rng, content)


def _odd(rng: random.Random, path: Path) -> None:
    """Put something there that is no file of ours."""
    path.unlink()
    way = rng.randrange(5)
    if way == 0:
        path.mkdir()
    elif way == 1:
        path.symlink_to("/nowhere/at/all")
    elif way == 2:
        path.symlink_to(path.parent)
    elif way == 3:
        path.mkdir()
        (path / "inner").write_text("x")
    else:
        shutil.rmtree(path.parent)
