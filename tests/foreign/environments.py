"""Environments of their own for foreign clients, made from hashes and kept outside the repository.

They lie beside the environment that the tests run in (`.venv` has `.venv-strangers/`), are made
once per lock and interpreter, and hold nothing that the program itself needs.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCKS = Path(__file__).resolve().parent / "locks"
DEV_LOCK = ROOT / "requirements-dev.lock"

IB_INSYNC = ("ib-insync", "eventkit", "nest-asyncio", "numpy", "tzdata")
IB_ASYNC = ("ib-async", "aeventkit", "nest-asyncio", "numpy", "tzdata")
PYTHON_BINANCE = (
    "aiohappyeyeballs", "aiohttp", "aiosignal", "attrs", "certifi", "charset-normalizer",
    "dateparser", "frozenlist", "idna", "multidict", "propcache", "pycryptodome",
    "python-binance", "python-dateutil", "pytz", "regex", "requests", "six", "typing-extensions",
    "tzdata", "tzlocal", "urllib3", "websockets", "yarl",
)  # fmt: skip
ONLY_IB_INSYNC = frozenset({"ib-insync", "eventkit"})
PINNED_TWICE = frozenset({"ib-async", "aeventkit", "tzdata"})
"""Packages whose pin "for Python 3.14" is the one that ib_async needs on every Python."""

SECONDS = 600
OFFLINE = re.compile(
    r"from versions: none"  # nothing serves the package at all
    r"|connection broken|NewConnectionError|ConnectTimeout|ReadTimeout|Max retries exceeded"
    r"|Temporary failure in name resolution|ProxyError"
    r"|ENOTFOUND|ENOTCACHED|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ECONNRESET|ENETUNREACH"
)


class Unavailable(Exception):
    """An environment cannot be made here: no network, no node, a Python that is too new."""


@dataclass(frozen=True)
class Pin:
    """One package of a lock with its hashes."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]

    def text(self) -> str:
        """Return it as a lock's lines."""
        head = f"{self.name}=={self.version}" + (f" ; {self.marker}" if self.marker else "")
        return " \\\n    ".join([head, *(f"--hash={value}" for value in self.hashes)]) + "\n"


def pins(lock: str) -> tuple[Pin, ...]:
    """Parse a lock: `name==version ; marker` and the hashes below it."""
    found = []
    for block in re.split(r"\n(?=\S)", lock.strip()):
        head, *hashes = block.replace("\\\n", "\n").splitlines()
        requirement, _, marker = head.strip().partition(" ; ")
        name, _, version = requirement.partition("==")
        values = tuple(value.strip().removeprefix("--hash=") for value in hashes)
        found.append(Pin(name.strip(), version.strip(), marker.strip(), values))
    return tuple(found)


def with_ib_insync(lock: str) -> str:
    """Return of the development lock what ib_insync needs, and no more."""
    return "".join(
        pin.text() for pin in pins(lock) if pin.name in IB_INSYNC and ">= '3.14'" not in pin.marker
    )


def with_python_binance(lock: str) -> str:
    """Return of the development lock what python-binance needs, and no more."""
    return "".join(pin.text() for pin in pins(lock) if pin.name in PYTHON_BINANCE)


def with_ib_async(lock: str, *, whole: bool) -> str:
    """Return the development lock with ib_async in ib_insync's place.

    It is what the lock says for Python 3.14, with the same hashes, for every Python. `whole` keeps
    all the other packages; else only those stay that ib_async needs.
    """
    chosen = []
    for pin in pins(lock):
        if pin.name in ONLY_IB_INSYNC or not (whole or pin.name in IB_ASYNC):
            continue
        if pin.name in PINNED_TWICE:
            if "< '3.14'" in pin.marker:
                continue
            pin = Pin(pin.name, pin.version, "", pin.hashes)  # noqa: PLW2901
        chosen.append(pin.text())
    return "".join(chosen)


def cache() -> Path:
    """Return the folder of all these environments, outside the repository or ignored by git."""
    chosen = os.environ.get("REBALANCER_STRANGERS")
    if chosen:
        return Path(chosen).resolve()
    if sys.prefix == sys.base_prefix:
        return Path(tempfile.gettempdir()) / f"rebalancer-strangers-{os.getuid()}"
    here = Path(sys.prefix)
    return here.with_name(f"{here.name}-strangers")


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let one process at a time make this environment."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.making").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def is_ready(folder: Path, digest: str) -> bool:
    """Return whether this environment was made, whole, from exactly this."""
    stamp = folder / "made-from"
    return stamp.is_file() and stamp.read_text() == digest


def command(words: Sequence[str | Path], what: str, cwd: Path | None = None) -> None:
    """Run a tool to its end.

    Raises
    ------
    Unavailable
        When it says that what it downloads from cannot be reached.
    RuntimeError
        When it fails for any other reason, with its own last words.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode == 0:
        return
    words_said = done.stdout + done.stderr
    if OFFLINE.search(words_said):
        raise Unavailable(f"{what}: the package index cannot be reached")
    last = "\n".join(words_said.strip().splitlines()[-15:])
    raise RuntimeError(f"{what} failed with {done.returncode}:\n{last}")


def pip_of(python: Path) -> list[str]:
    """Return the start of a command: our pip, at work in another environment."""
    ours = [sys.executable, "-m", "pip", "--python", str(python)]
    return [*ours, "--disable-pip-version-check", "--no-input"]


def install(python: Path, lock: str, what: str, *, build: bool = False) -> None:
    """Install exactly a lock into the environment of `python`, hashes required."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "lock.txt"
        file.write_text(lock)
        words = ["install", "--quiet", "--retries", "2", "--timeout", "20"]
        words += ["--no-deps", "--require-hashes", "--requirement", str(file)]
        words += ["--no-build-isolation"] if build else ["--only-binary", ":all:"]
        command([*pip_of(python), *words], f"installing {what}")


def python_environment(name: str, locks: Sequence[str], *, editable: Path | None = None) -> Path:
    """Return the interpreter of an environment with exactly these locks, made when it is not there.

    Parameters
    ----------
    name
        Of its folder below `cache()`.
    locks
        Installed one after the other; all but the last are what the last is built with.
    editable
        A project to install without its dependencies, for running its tests there.
    """
    folder = cache() / f"{name}-{sys.version_info[0]}.{sys.version_info[1]}"
    python = folder / "bin" / "python"
    digest = hashlib.sha256("\0".join([sys.version, str(editable), *locks]).encode()).hexdigest()
    with alone(folder):
        if is_ready(folder, digest):
            return python
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=False, symlinks=True)
        for number, lock in enumerate(locks):
            last = number == len(locks) - 1
            install(python, lock, name, build=last and number > 0)
        if editable:
            words = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--editable"]
            command([*pip_of(python), *words, str(editable)], f"installing this project for {name}")
        (folder / "made-from").write_text(digest)
    return python


def node_environment(name: str) -> Path:
    """Return a folder with the packages of `locks/<name>/` in `node_modules`."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        raise Unavailable(f"{name}: there is no {'npm' if node else 'node'} on this machine")
    source = LOCKS / name
    folder = cache() / name
    texts = [(source / file).read_text() for file in ("package.json", "package-lock.json")]
    digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()
    with alone(folder):
        if is_ready(folder, digest):
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for file in ("package.json", "package-lock.json"):
            shutil.copy(source / file, folder / file)
        command(
            [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries", "1"],
            f"installing {name}",
            cwd=folder,
        )
        (folder / "made-from").write_text(digest)
    return folder


def suite_environment() -> Path:
    """Return the interpreter of an environment for this project's tests with ib_async instead.

    Raises
    ------
    Unavailable
        Without a network, when it was not made before.
    """
    lock = with_ib_async(DEV_LOCK.read_text(), whole=True)
    return python_environment("suite-ib_async", [lock], editable=ROOT)
