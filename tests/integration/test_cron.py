"""`crontab.example` with its paths filled in, in a real cron: one complete run comes out of it.

Cron gets mounts and processes of its own: it sees an empty spool, an empty /etc/crontab and no
pid file of the machine's own cron, and the kernel ends it with its first process. libfaketime
lets its minutes pass in a second; the jobs that it starts have the real time.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from rebalancer.cli import main
from rebalancer.model.records import Outcome
from tests.portfolios import World

pytestmark = pytest.mark.cron

ROOT = Path(__file__).resolve().parents[2]
PLACEHOLDER = "/path/to/rebalancer"
PATIENCE_SECONDS = 40.0
# Friday; 30 s later it is five past the hour, and half a second after that in real time.
STARTS = "@2026-11-20 15:04:30 x60"

# What happens inside: private mounts, an empty spool, the table installed, cron in the foreground.
INSIDE = """
set -e
mount --make-rprivate /
mount -t tmpfs none /var/spool/cron
mkdir /var/spool/cron/crontabs
chgrp crontab /var/spool/cron/crontabs
chmod 1730 /var/spool/cron/crontabs
mount -t tmpfs none /run
mount --bind /dev/null /etc/crontab
mount -t tmpfs none /etc/cron.d
crontab "$1"
LD_PRELOAD="$2" FAKETIME="$3" exec cron -f
"""


def faketime() -> Path | None:
    """Return the library that lets time fly, None when this machine has none."""
    folders = [*sorted(Path("/usr/lib").glob("*/faketime")), Path("/usr/lib/faketime")]
    found = [folder / "libfaketime.so.1" for folder in folders]
    return next((path for path in found if path.is_file()), None)


def what_is_missing() -> str:
    """Return why there can be no cron here, '' when there can."""
    if not sys.platform.startswith("linux"):
        return "needs Linux namespaces, so that the machine's own crontabs are left alone"
    if os.geteuid() != 0:
        return "needs root: cron starts jobs as their users"
    for program in ("cron", "crontab", "unshare", "mount"):
        if shutil.which(program) is None:
            return f"needs {program}"
    if faketime() is None:
        return "needs libfaketime"
    tried = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "mount", "-t", "tmpfs", "none", "/run"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return f"may not mount here: {tried.stderr.strip()}" if tried.returncode else ""


@pytest.fixture(scope="module", autouse=True)
def _cron_or_skip() -> None:
    reason = what_is_missing()
    if reason:
        pytest.skip(f"a real cron {reason}")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a folder that looks like a checkout whose owner has typed `rebalancer init`."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "rebalancer").symlink_to(ROOT / "rebalancer")
    shutil.copy(ROOT / "run.py", folder)
    shutil.copytree(ROOT / "signals", folder / "signals")
    (folder / ".venv").symlink_to(sys.prefix)
    if not (folder / ".venv" / "bin" / "python").exists():
        pytest.skip(f"{sys.prefix} has no bin/python")
    assert main(["init", "--folder", str(folder), "--name", "cron"]) == 0
    return folder


@contextmanager
def cron(table: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a cron that has this table; when this ends it is gone, and its jobs with it."""
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    process = subprocess.Popen(
        [*command, "sh", "-c", INSIDE, "sh", str(table), str(faketime()), STARTS],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TZ": "UTC"},
    )
    try:
        yield process
    finally:
        # The first process inside, and with it all the others; then unshare ends by itself.
        with suppress(OSError, ValueError):
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            os.kill(int(children.read_text(encoding="ascii")), signal.SIGKILL)
            process.wait(timeout=10)
        process.kill()
        process.communicate(timeout=30)


def test_the_example_crontab_makes_one_complete_run(checkout: Path) -> None:
    text = (ROOT / "crontab.example").read_text(encoding="utf-8")
    assert PLACEHOLDER in text
    table = checkout / "crontab"
    locks = f"REBALANCER_LOCKS={checkout}/locks\n"  # not those of the user who tests
    table.write_text(locks + text.replace(PLACEHOLDER, str(checkout)), encoding="utf-8")

    patience = time.monotonic() + PATIENCE_SECONDS
    with cron(table) as process:
        while "Written to" not in log(checkout):
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < patience, log(checkout)
            time.sleep(0.1)
    assert not left_over()

    world = World(checkout, "cron")
    record = world.last()
    assert (world.run_folder(record.slot) / "record.json").is_file()
    assert record.outcome is Outcome.FINISHED
    assert record.exit_code == 0
    assert record.approved
    assert world.rows("trades.csv")
    assert world.mails()


def log(checkout: Path) -> str:
    path = checkout / "state" / "cron.log"
    return path.read_text(encoding="utf-8") if path.exists() else "cron started nothing"


def left_over() -> list[str]:
    """Return the processes that still live in our cron's time."""
    mine, found = f"FAKETIME={STARTS}".encode(), []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if mine in path.read_bytes():
                found.append(path.parent.name)
    return found
