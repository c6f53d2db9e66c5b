"""Whole processes: run one to its end, or ask how much memory it had."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RUN = ROOT / "run.py"

# Compiled modules are part of an installed program: without them every start compiles anew.
_NOT_WANTED = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "PYTHONPATH", "PYTHONSTARTUP")
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in _NOT_WANTED}

# A process begins with the peak of the one it was forked from: we are large, this one is small.
# macOS counts bytes, Linux KiB.
_WITNESS = """
import resource, subprocess, sys
subprocess.run([sys.executable, *sys.argv[1:]], check=True, stdout=subprocess.DEVNULL)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(peak / (2**20 if sys.platform == "darwin" else 2**10))
"""


def process(words: Sequence[str], folder: Path = ROOT) -> str:
    """Run Python with these arguments in a folder, wait for it and return what it said.

    Raises `RuntimeError` with what it said when it fails.
    """
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=_ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stdout + done.stderr
        raise RuntimeError(f"python {' '.join(words)} ended with {done.returncode}:\n{said}")
    return done.stdout


def mebibytes(words: Sequence[str], folder: Path = ROOT) -> float:
    """Return the largest resident set of that process and of those it waited for."""
    return float(process(["-c", _WITNESS, *words], folder))
