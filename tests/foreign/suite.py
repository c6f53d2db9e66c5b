"""This project's own tests with ib_async in place of ib_insync, in an environment of their own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from tests.foreign.environments import ROOT, suite_environment

SPEAK_TO_IB = ("tests/contract/brokers", "tests/unit/ib", "tests/unit/ib_gateway")
"""The tests that do speak to Interactive Brokers, through whichever library is there."""


def run_suite(arguments: Sequence[str], *, show: bool) -> subprocess.CompletedProcess[str]:
    """Run pytest there; without a path among the arguments, on the tests that speak to IB.

    Raises
    ------
    Unavailable
        Without a network, when the environment was not made before.
    """
    python = suite_environment()
    paths = () if any("tests" in word for word in arguments) else SPEAK_TO_IB
    # An outer pytest says what worker this is, and coverage or paths of its own.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PYTEST_") and name != "PYTHONPATH"
    }
    return subprocess.run(
        [str(python), "-m", "pytest", *paths, *arguments],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=not show,
        text=True,
        check=False,
    )


def has_library(name: str) -> bool:
    """Return whether that environment can import a library."""
    words = [str(suite_environment()), "-c", f"import {name}"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0
