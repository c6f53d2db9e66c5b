"""Foreign clients against the simulated venues: who they are, and what came of each step.

Each runs as a process of its own, in an environment of its own, against a venue of its own on
loopback; it prints one line of JSON for each step, which is compared with `expected_<venue>.toml`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rebalancer.simulators.binance_server.spec import KEY, SECRET
from tests.foreign.environments import (
    DEV_LOCK,
    LOCKS,
    ROOT,
    Unavailable,
    node_environment,
    python_environment,
    with_ib_async,
    with_ib_insync,
    with_python_binance,
)

HERE = Path(__file__).resolve().parent
ACCOUNT = "DU7654321"
"""The only account that the clients' scripts agree to trade in."""

KEYS = (KEY, SECRET)
"""The key and the secret of every simulated account: known to everybody."""

SECONDS_OF_A_CLIENT = 120
SECONDS_TO_START = 30
WIRE_LINES = 12


@dataclass(frozen=True)
class Client:
    """One foreign client: what it is, and which version of the protocol it is to speak.

    `word` is what its script is told first. `node`: it runs there. Binance's has no versions.
    """

    name: str
    package: str
    script: str
    served: int = 0
    greatest: int = 0
    optional: bool = False
    venue: str = "ib"
    word: str = ""

    @property
    def node(self) -> bool:
        """Return whether it runs on Node."""
        return self.script.endswith(".cjs")

    @property
    def version(self) -> int:
        """Return the protocol version that the two have in common."""
        return min(self.served, self.greatest)


CLIENTS = (
    Client("ib_insync", "ib_insync 0.9.86", "insync_like.py", 176, 176),
    Client("ib_async", "ib_async 2.1.0", "insync_like.py", 176, 178),
    Client("ibapi-10.19", "nautilus-ibapi 10.19.4", "official.py", 176, 176),
    Client("ibapi-10.51", "ibapi-latest 10.51.1", "official.py", 176, 226),
    Client("ib_insync-157", "ib_insync 0.9.86", "insync_like.py", 157, 176, optional=True),
    Client("ib_async-178", "ib_async 2.1.0", "insync_like.py", 178, 178, optional=True),
    Client("ibapi-9.81", "ibapi 9.81.1.post1", "official.py", 176, 157, optional=True),
    Client("ibapi-10.51-178", "ibapi-latest 10.51.1", "official.py", 178, 226, optional=True),
    # Below 177 its decoder of completed orders loses a field: its own bug.
    Client("stoqey", "@stoqey/ib 1.6.10", "stoqey.cjs", 178, 193, optional=True),
    Client("python-binance", "python-binance 1.0.37", "binance_python.py", venue="binance",
           word="sync"),
    Client("python-binance-async", "python-binance 1.0.37", "binance_python.py",
           venue="binance", word="async"),
    Client("ccxt", "ccxt 4.5.90", "binance_ccxt.py", venue="binance"),
    Client("binance-sdk", "binance-sdk-derivatives-trading-usds-futures 18.0.1 and -spot 13.2.0",
           "binance_sdk.py", venue="binance"),
    Client("freqtrade", "freqtrade 2026.9", "binance_freqtrade.py", optional=True,
           venue="binance"),
    Client("binance-npm", "binance 3.6.5 (npm)", "binance_npm.cjs", optional=True,
           venue="binance"),
)  # fmt: skip


@dataclass(frozen=True)
class Step:
    """What one client did in one step: what it saw, what of that is wrong, the wire until then."""

    name: str
    shown: str
    wrong: tuple[str, ...] = ()
    wire: tuple[str, ...] = ()


@dataclass(frozen=True)
class Visit:
    """All that came of one client's visit; `absent` says why it could not come."""

    client: Client
    steps: tuple[Step, ...] = ()
    absent: str = ""

    @property
    def is_fine(self) -> bool:
        """Return whether every step was as expected."""
        return bool(self.steps) and not any(step.wrong for step in self.steps)


def expectations(venue: str = "ib") -> dict[str, dict[str, Any]]:
    """Return the table of a venue, in the order of the scenario."""
    return tomllib.loads((HERE / f"expected_{venue}.toml").read_text(encoding="utf-8"))


def command_of(client: Client) -> tuple[list[str], Path]:
    """Make the client's environment; return the start of its command and its working folder.

    Raises
    ------
    Unavailable
        When it cannot be had on this machine.
    """
    script = str(HERE / "clients" / client.script)
    if client.node:
        folder = node_environment(client.name)
        return [shutil.which("node") or "node", script, client.name], folder
    if client.venue == "binance":
        return binance_command(client, script)
    name = re.sub(r"-1\d\d$", "", client.name)
    if name == "ib_insync":
        if sys.version_info >= (3, 14):
            raise Unavailable("ib_insync: does not import on Python 3.14 and newer")
        locks = [with_ib_insync(DEV_LOCK.read_text())]
    elif name == "ib_async":
        locks = [with_ib_async(DEV_LOCK.read_text(), whole=False)]
    else:
        locks = [(LOCKS / f"{name}.lock").read_text()]
        if name == "ibapi-9.81":
            locks.insert(0, (LOCKS / "build.lock").read_text())
    python = python_environment(name, locks)
    library = name if name in ("ib_insync", "ib_async") else "ibapi"
    return [str(python), "-E", "-s", script, library], python.parent


def binance_command(client: Client, script: str) -> tuple[list[str], Path]:
    """Make the environment of a client of Binance's; return the start of its command."""
    if client.script == "binance_python.py":
        python = python_environment("python-binance", [with_python_binance(DEV_LOCK.read_text())])
    else:
        locks = [(LOCKS / f"{client.name}.lock").read_text()]
        if client.name == "freqtrade":  # sdnotify comes as a source archive only
            locks.insert(0, (LOCKS / "build.lock").read_text())
        python = python_environment(client.name, locks)
    return [str(python), "-E", "-s", script, client.word or client.name], python.parent


@contextmanager
def exchange(folder: Path, *more: str) -> Iterator[int]:
    """Start `rebalancer simulate binance` and give its port; its log goes to `folder/wire`."""
    words = ["simulate", "binance", "--port", "0", "--wire-log", str(folder / "wire")]
    with simulator([*words, *more], folder) as port:
        yield port


@contextmanager
def gateway(version: int, folder: Path, *more: str) -> Iterator[int]:
    """Start `rebalancer simulate ib` and give its port; its wire log goes to `folder/wire`."""
    words = ["simulate", "ib", "--port", "0", "--account", ACCOUNT]
    words += ["--server-version", str(version), "--wire-log", str(folder / "wire")]
    with simulator([*words, *more], folder) as port:
        yield port


@contextmanager
def simulator(words: Sequence[str], folder: Path) -> Iterator[int]:
    """Start a simulated venue and give the port that it tells."""
    (folder / "wire").touch()
    with (folder / "gateway.stderr").open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "run.py"), *words],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    with process:
        try:
            yield port_of(process, folder / "gateway.stderr")
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def port_of(process: subprocess.Popen[str], stderr: Path) -> int:
    """Read a gateway's output up to the line that has its address."""
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        found = re.search(r"127\.0\.0\.1:(\d+)", line)
        if found:
            return int(found[1])
    process.wait(SECONDS_TO_START)
    raise RuntimeError(f"the gateway did not start: {''.join(said)}{stderr.read_text()}")


def visit(client: Client) -> Visit:
    """Let one client do the scenario and compare what it saw."""
    try:
        words, cwd = command_of(client)
    except Unavailable as why:
        return Visit(client, absent=str(why))
    with tempfile.TemporaryDirectory(prefix="stranger-") as name:
        folder = Path(name)
        if client.venue == "binance":
            with exchange(folder) as port:
                said, last = listen([*words, "127.0.0.1", str(port), *KEYS], cwd, folder)
        else:
            with gateway(client.served, folder) as port:
                said, last = listen([*words, "127.0.0.1", str(port), ACCOUNT], cwd, folder)
        steps = tuple(
            judged(name, expected, said.get(name), client, last)
            for name, expected in expectations(client.venue).items()
        )
    return Visit(client, steps)


def listen(words: Sequence[str], cwd: Path, folder: Path) -> tuple[dict[str, Any], str]:
    """Run a client; return its lines by step, each with the wire's last, and its own last words."""
    said: dict[str, Any] = {}
    with (folder / "stderr").open("w") as stderr:
        process = subprocess.Popen(
            words,
            cwd=cwd,
            env=bare_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
        watch = threading.Timer(SECONDS_OF_A_CLIENT, process.kill)
        watch.start()
        with process:
            assert process.stdout is not None
            for text in process.stdout:
                if text.startswith("{"):
                    line = json.loads(text)
                    wire = (folder / "wire").read_text().splitlines()[-WIRE_LINES:]
                    said[line["step"]] = {**line, "wire": tuple(wire)}
        watch.cancel()
    words_said = (folder / "stderr").read_text().strip().splitlines()
    return said, words_said[-1] if words_said else "it ended before this step"


def bare_environment() -> dict[str, str]:
    """Return the environment without what would let a client find anything of ours."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ}


def judged(
    name: str,
    expected: Mapping[str, Any],
    line: Mapping[str, Any] | None,
    client: Client,
    last: str,
) -> Step:
    """Compare one line of a client with what it must be; `last` is why there is none."""
    if line is None:
        return Step(name, "-", (f"no answer: {last}",))
    if "left_out" in line:
        return Step(name, line["left_out"])
    if "failed" in line:
        words = line["failed"].strip().splitlines()
        heard = f" after {line['heard']}" if line.get("heard") else ""
        return Step(name, "-", (f"{words[-1]}{heard}", *words[:-1]), line["wire"])
    saw = line["saw"]
    package = client.package.split()[0]
    wanted = {**expected["expect"], **expected.get("differs", {}).get(package, {})}
    wrong = [
        f"{key}: {saw.get(key)!r}, not {want!r}"
        for key, want in wanted.items()
        if not fits(saw.get(key), client.version if want == "served" else want)
    ]
    table = f"expected_{client.venue}.toml"
    wrong += [f"{key}: {saw[key]!r} is not in {table}" for key in saw if key not in wanted]
    return Step(name, expected["shows"].format(**saw), tuple(wrong), line["wire"])


def fits(value: object, wanted: object) -> bool:
    """Return whether a value is what the table of its venue says."""
    if isinstance(wanted, str) and wanted.startswith(">"):
        bound = re.fullmatch(r"(>=?) *(\S+)", wanted)
        assert bound, f"expected: {wanted!r} is no bound"
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return value >= float(bound[2]) if bound[1] == ">=" else value > float(bound[2])
    if wanted == "any":
        return value not in (None, "", 0, [])
    return value == wanted and isinstance(value, bool) == isinstance(wanted, bool)


def chosen(names: Sequence[str], *, everyone: bool) -> tuple[Client, ...]:
    """Return the clients of these names; without names those that always come, or all."""
    if not names:
        return tuple(client for client in CLIENTS if everyone or not client.optional)
    by_name = {client.name: client for client in CLIENTS}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise SystemExit(f"no client {', '.join(unknown)}; there are {', '.join(by_name)}")
    return tuple(by_name[name] for name in names)
