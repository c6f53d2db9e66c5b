"""The run's log: our steps and others' warnings, one JSON object a line."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from rebalancer.cli.run_log import run_log
from rebalancer.errors import StateError
from rebalancer.store.atomic import Files


def lines(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_our_steps_and_others_warnings_are_kept_and_others_chatter_is_not(tmp_path: Path) -> None:
    with run_log(tmp_path):
        logging.getLogger("rebalancer.run").info("step %d", 4)
        logging.getLogger("some.library").info("chatter")
        logging.getLogger("some.library").warning("careful")
    logging.getLogger("rebalancer.run").warning("after the run")
    assert [line["message"] for line in lines(tmp_path)] == ["step 4", "careful"]
    assert lines(tmp_path)[1]["logger"] == "some.library"
    assert lines(tmp_path)[0]["at"].endswith("+00:00")


class FullDisk(Files):
    def append(self, path: Path, content: bytes, *, durable: bool = True) -> None:
        raise StateError(f"{path}: the disk is full")


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    with run_log(tmp_path, FullDisk()):
        logging.getLogger("rebalancer.run").error("step 7")
    assert not (tmp_path / "log.jsonl").exists()
