"""One run at a time, proved with real processes; a lock is never broken."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rebalancer.errors import LockBusy, LockHung, StateError
from rebalancer.store.lock import (
    account_lock,
    account_lock_path,
    holder_of,
    portfolio_lock,
)

NOW = 1_583_161_500.0
"""2020-03-02 15:05 UTC."""
UNTIL = NOW + 1200

HOLD = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from rebalancer.store.lock import account_lock, portfolio_lock
    until, now = float(sys.argv[2]), float(sys.argv[3])
    with portfolio_lock(Path(sys.argv[1]), until, now), account_lock("IB", "U1", until, now):
        print("held", flush=True)
        sys.stdin.read()
    """
)


@pytest.fixture(autouse=True)
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REBALANCER_LOCKS", str(tmp_path / "locks"))
    return tmp_path / "locks"


@contextmanager
def another_run(folder: Path) -> Iterator[subprocess.Popen[str]]:
    root = Path(__file__).resolve().parents[3]
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), str(UNTIL), str(NOW)],
        cwd=root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_a_second_run_leaves_and_says_who_is_at_work(tmp_path: Path) -> None:
    with another_run(tmp_path) as process:
        with (
            pytest.raises(LockBusy, match=f"process {process.pid} on .*2020-03-02T15:25:00Z"),
            portfolio_lock(tmp_path, UNTIL, NOW + 1),
        ):
            pytest.fail("two runs at once")
        with (
            pytest.raises(LockBusy, match="the account at IB"),
            account_lock("IB", "U1", UNTIL, NOW + 1),
        ):
            pytest.fail("two runs at once")


def test_a_run_past_its_deadline_is_told_and_its_lock_is_not_broken(tmp_path: Path) -> None:
    with another_run(tmp_path) as process:
        for _ in range(2):
            with (
                pytest.raises(LockHung, match=f"process {process.pid} .* past that time"),
                portfolio_lock(tmp_path, UNTIL + 9999, UNTIL + 1),
            ):
                pytest.fail("two runs at once")


def test_a_killed_run_leaves_no_lock(tmp_path: Path) -> None:
    with another_run(tmp_path) as process:
        process.kill()
        process.wait()
    with portfolio_lock(tmp_path, UNTIL, NOW), account_lock("IB", "U1", UNTIL, NOW):
        pass
    with portfolio_lock(tmp_path, UNTIL, NOW):
        pass


def test_status_sees_who_holds_it_and_whether_anybody_does(tmp_path: Path) -> None:
    assert holder_of(tmp_path / "lock") is None
    with another_run(tmp_path) as process:
        holder = holder_of(tmp_path / "lock")
        assert holder is not None
        assert (holder.pid, holder.started) == (process.pid, "2020-03-02T15:05:00Z")
    assert holder_of(tmp_path / "lock") is None
    with portfolio_lock(tmp_path, UNTIL, NOW):
        holder = holder_of(tmp_path / "lock")
    assert holder is not None
    assert holder.pid == os.getpid()


def test_the_account_is_locked_in_one_place_whatever_the_portfolio(locks: Path) -> None:
    path = account_lock_path("IB", "U1234567")
    assert path == account_lock_path("ib", "U1234567")
    assert path.parent == locks
    assert path != account_lock_path("IB", "U1234568")
    assert "U1234567" not in path.name


def test_the_place_of_the_account_locks_is_the_users_state_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REBALANCER_LOCKS")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert account_lock_path("IB", "U1").parent == tmp_path / "rebalancer" / "locks"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert account_lock_path("IB", "U1").parent == tmp_path / ".local/state/rebalancer/locks"


def test_a_lock_that_cannot_be_made_is_a_state_error(tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("a file, not a folder")
    with (
        pytest.raises(StateError, match="cannot use the lock"),
        portfolio_lock(tmp_path / "demo", UNTIL, NOW),
    ):
        pytest.fail("two runs at once")


def test_every_folder_that_a_lock_makes_is_its_owners_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REBALANCER_LOCKS", str(tmp_path / "home" / "rebalancer" / "locks"))
    with portfolio_lock(tmp_path / "state" / "demo", UNTIL, NOW):
        pass
    with account_lock("IB", "U1", UNTIL, NOW):
        pass
    made = ("state", "state/demo", "home", "home/rebalancer", "home/rebalancer/locks")
    modes = {name: (tmp_path / name).stat().st_mode & 0o777 for name in made}
    assert modes == dict.fromkeys(made, 0o700)


def test_a_holder_that_has_not_said_who_it_is_yet_is_busy(tmp_path: Path) -> None:
    with portfolio_lock(tmp_path, UNTIL, NOW):
        (tmp_path / "lock").write_text("")
        with (
            pytest.raises(LockBusy, match="just started"),
            portfolio_lock(tmp_path, UNTIL, NOW),
        ):
            pytest.fail("two runs at once")
