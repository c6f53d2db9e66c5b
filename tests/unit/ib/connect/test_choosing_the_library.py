"""One module chooses between ib_insync and ib_async."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from rebalancer.brokers.ib import client
from rebalancer.errors import ConfigError


@pytest.mark.parametrize(
    ("version", "installed", "expected"),
    [
        ((3, 11), {"ib_insync"}, "ib_insync"),
        ((3, 13), {"ib_insync", "ib_async"}, "ib_insync"),
        ((3, 13), {"ib_async"}, "ib_async"),
        ((3, 14), {"ib_insync", "ib_async"}, "ib_async"),
        ((3, 14), {"ib_async"}, "ib_async"),
        ((3, 12), set(), None),
    ],
)
def test_the_owners_library_up_to_3_13_and_its_successor_afterwards(
    monkeypatch: pytest.MonkeyPatch,
    version: tuple[int, int],
    installed: set[str],
    expected: str | None,
) -> None:
    monkeypatch.setattr(client, "sys", SimpleNamespace(version_info=version))
    monkeypatch.setattr(client, "find_spec", lambda name: name if name in installed else None)
    assert client.chosen() == expected


def test_without_any_library_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="neither ib_insync nor ib_async is installed"):
        client.library.__wrapped__()


def test_the_library_is_loaded_on_first_use_without_a_warning_or_a_loop_left() -> None:
    code = (
        "import asyncio, sys\n"
        "from rebalancer.brokers.ib import client, broker\n"
        "assert not {'ib_insync', 'ib_async', 'eventkit'} & set(sys.modules)\n"
        "lib = client.library()\n"
        "assert lib is client.library() and lib.__name__ == client.chosen()\n"
        "import warnings\n"
        "warnings.simplefilter('ignore')  # the policy is on its way out from 3.14\n"
        "assert asyncio.get_event_loop_policy()._local._loop is None\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
