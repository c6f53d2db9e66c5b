"""The repairs that docs/STATE.md recommends work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from rebalancer.model.records import Standing
from tests.unit.store.samples import HOUR, SLOT, folder, point, record, run

ROOT = Path(__file__).resolve().parents[3]
REPAIRS = re.findall(r"```python\n(.*?)```", (ROOT / "docs/STATE.md").read_text(), re.DOTALL)


@pytest.mark.parametrize(("repair", "name"), [(0, "breakers.json"), (1, "equity.csv")])
def test_a_lost_file_is_made_again_from_the_records(tmp_path: Path, repair: int, name: str) -> None:
    books = folder(tmp_path)
    run(books)
    kept = Standing(failed_runs=3)
    books.save_standing(kept)
    books.save_record(
        replace(record(SLOT + HOUR, 1), standing=kept, equity=point(SLOT + HOUR)), {}, ()
    )
    assert folder(tmp_path).pack(SLOT + HOUR) == 1  # an old run is in the archive
    before = (books.root / name).read_bytes()
    (books.root / name).write_bytes(b"\0\0\0")
    subprocess.run(
        [sys.executable, "-c", REPAIRS[repair]],
        cwd=books.root,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=True,
        timeout=60,
    )
    assert folder(tmp_path).standing() == kept
    assert folder(tmp_path).equity() == (point(), point(SLOT + HOUR))
    assert (books.root / name).read_bytes().strip() == before.strip()
