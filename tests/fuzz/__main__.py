"""Damaged input for as long as you like: `python tests/fuzz --minutes 10 --seed 3`."""

from __future__ import annotations

import sys
import types
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

if __name__ == "__main__":
    # A library of ours brings a package of this name along: ours must come first.
    sys.path.insert(0, str(ROOT))
    sys.modules["tests"] = types.ModuleType("tests")
    sys.modules["tests"].__path__ = [str(ROOT / "tests")]
    from tests.fuzz.campaign import main

    sys.exit(main())
