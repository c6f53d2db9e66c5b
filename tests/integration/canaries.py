"""Recognisable secrets, every way they can come in, and a nose for what became of them."""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import os
import re
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MARK = "c4n4ry"
SMTP, DATABASE, KEY, SECRET, PING = (f"{word}{MARK}" for word in ("smtp", "db", "key", "sec", "pg"))
WORDS = {
    "smtp_password": f"{SMTP}  p@ss/w%rd+=\"'",
    "database_password": f"{DATABASE}  p@ss/w%rd:?#",
    "binance_api_key": f"{KEY}0123456789abcdefghijABCDEFGHIJ",
    "binance_api_secret": f"{SECRET}0123456789abcdefghijABCDEFGHIJ",
}
"""Each has the mark in it, which survives every way of quoting; they are hard to quote, and
their blanks must not be collapsed before they are masked."""


def ping_url(port: int) -> str:
    """Return a ping URL of this machine whose path is the secret."""
    return f"http://127.0.0.1:{port}/{PING}-4b1d"


def _spellings() -> tuple[bytes, ...]:
    """Return how the mark looks plain, in hexadecimal, and within base64 at any place."""
    found = [MARK.encode(), binascii.hexlify(MARK.encode())]
    for before in range(3):
        text = base64.b64encode(b"\0" * before + MARK.encode() + b"\0\0\0")
        first = -(-before * 8 // 6)
        last = (before + len(MARK)) * 8 // 6
        found.append(text[first:last])
    return tuple(found)


SPELLINGS = _spellings()


def leaks(content: bytes | str, where: str) -> list[str]:
    """Return where content shows the mark, with what stands around it; archives are opened."""
    if isinstance(content, str):
        content = content.encode("utf-8", "surrogateescape")
    found = []
    for name, inner in _layers(content):
        for spelling in SPELLINGS:
            found += [
                f"{where}{name}: {inner[max(0, at.start() - 60) : at.end() + 60]!r}"
                for at in re.finditer(re.escape(spelling), inner, re.IGNORECASE)
            ]
    return found


def _layers(content: bytes) -> Iterator[tuple[str, bytes]]:
    yield "", content
    if content.startswith(b"\x1f\x8b"):
        inner = gzip.decompress(content)
        yield " (unpacked)", inner
        if len(inner) % 512 == 0 and tarfile.is_tarfile(io.BytesIO(inner)):
            with tarfile.open(fileobj=io.BytesIO(inner)) as archive:
                yield " (names)", "\n".join(archive.getnames()).encode()
    if content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield f" ({name})", archive.read(name)
    decoded = []
    for text in re.findall(rb"[A-Za-z0-9+/\r\n]{60,}", content):
        letters = re.sub(rb"\s", b"", text)
        decoded.append(base64.b64decode(letters[: len(letters) // 4 * 4]))
    if decoded:  # parts of mails
        yield " (base64)", b"\0".join(decoded)


def leaks_below(folder: Path, *, but: Iterable[Path] = ()) -> list[str]:
    """Return where names or contents below a folder show the mark, except some files."""
    excused = set(but)
    found = []
    for path in sorted(folder.rglob("*")):
        found += leaks(str(path.relative_to(folder)), "name of ")
        if path.is_file() and not path.is_symlink() and path not in excused:
            found += leaks(path.read_bytes(), str(path.relative_to(folder)))
    return found


@dataclass
class Ended:
    """A process of ours that ended, and what its children showed while they ran."""

    code: int
    out: str
    err: str
    children: dict[str, str] = field(default_factory=dict)

    def leaks(self) -> list[str]:
        """Return where its words, or what its children showed, have the mark."""
        found = leaks(self.out, "stdout") + leaks(self.err, "stderr")
        for name, text in self.children.items():
            found += leaks(text, name)
        return found


def command(
    folder: Path,
    *words: str,
    environment: Mapping[str, str] | None = None,
    patch: str = "",
    watch: Path | None = None,
    umask: int = 0o022,
) -> Ended:
    """Run `rebalancer <words>` in a process of its own, in a folder, and wait for its end.

    `patch` is Python that runs before. `watch` names a file that something in the process makes
    when its children should be looked at; it is removed afterwards, which lets them go on.
    """
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    own = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(folder),
        "TMPDIR": str(temporary),
        "REBALANCER_LOCKS": str(folder / "locks"),
        "MPLCONFIGDIR": os.environ.get("MPLCONFIGDIR", str(folder / "matplotlib")),
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "200",
    }
    code = f"import os, sys\nos.umask({umask})\n{patch}\n" + (
        "from rebalancer.cli import main\nraise SystemExit(main(sys.argv[1:]))"
    )
    out, err = folder / "stdout.txt", folder / "stderr.txt"
    with out.open("w") as out_file, err.open("w") as err_file:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *words],
            cwd=folder,
            env=own | dict(environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=out_file,
            stderr=err_file,
        )
        children: dict[str, str] = {}
        try:
            while watch is not None and process.poll() is None:
                if watch.exists():
                    children |= _shown_by_children(process.pid)
                    watch.unlink()
                time.sleep(0.02)
            process.wait(100)
        finally:
            process.kill()
            process.wait()
    ended = Ended(process.returncode, out.read_text(), err.read_text(), children)
    out.unlink()
    err.unlink()
    return ended


def _shown_by_children(parent: int) -> dict[str, str]:
    """Return command line and environment of every process below one, by name and pid."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "stat").read_text()
        except OSError:
            continue
        parents[int(folder.name)] = int(status.rpartition(")")[2].split()[1])
    below, grown = {parent}, True
    while grown:
        more = {pid for pid, above in parents.items() if above in below} - below
        below |= more
        grown = bool(more)
    found = {}
    for pid in below - {parent}:
        for name in ("cmdline", "environ"):
            text = Path(f"/proc/{pid}/{name}").read_bytes().replace(b"\0", b"\n")
            found[f"/proc/{pid}/{name}"] = text.decode("utf-8", "replace")
    return found
