"""secrets.toml, damaged: the file is named, what stands in it is never shown."""

from __future__ import annotations

from pathlib import Path
from random import Random

from tests.fuzz.spoil import spoil_bytes, spoil_toml
from tests.fuzz.trial import Findings, call, heard, named
from tests.portfolios import FIRST, QUIET, copy_world, make_world, stamp

KNOWN = ("smtp_password", "database_password", "binance_api_key", "binance_api_secret", "ping_url",
         "demo.smtp_password", "demo.binance_api_key")  # fmt: skip
PLANTED = {name: f"Planted{place}xyzzy{place}" for place, name in enumerate(KNOWN[:4])}
TEXT = "\n".join(f'{name} = "{word}"' for name, word in PLANTED.items()) + (
    '\n\n[demo]\nsmtp_password = "Planted9xyzzy9"\n'
)


class Secrets:
    """The file of secrets beside a portfolio that has not run yet."""

    name = "secrets"

    def prepare(self, folder: Path) -> None:
        """Make the portfolio."""
        self._world = make_world(folder, symbols=("AAPL", "KO"), extra=QUIET)

    def attempt(self, dice: Random, folder: Path, found: Findings) -> None:
        """Damage the file and call a command or two."""
        world = copy_world(self._world, folder)
        world.wants({"AAPL": "0.5", "KO": "0.4"}, FIRST)
        content = TEXT.encode()
        for _ in range(dice.choice((1, 1, 2, 4))):
            if dice.random() < 0.5:
                content = spoil_bytes(dice, content)
            else:
                text = content.decode("utf-8", "replace")
                content = spoil_toml(dice, text, KNOWN).encode("utf-8", "surrogatepass")
        found.what = repr(content[:400])
        path = folder / "secrets.toml"
        path.write_bytes(content)
        path.chmod(0o600)
        for words in (("check",), ("run", "--at", stamp(FIRST))):
            told = call(*words, "--config", str(world.path))
            heard(found, told, words[0])
            found.expect("xyzzy" not in told.text, f"{words[0]} shows a secret:\n{told.text}")
            found.expect(told.code in (0, 2), f"{words[0]}: exit code {told.code}:\n{told.text}")
            if told.code == 2:
                named(found, told, ("secrets.toml",), words[0])
        books = world.state / "paper" / "books.json"
        found.expect(not books.exists() or len(world.venue()["orders"]) == 2, "not two orders")
