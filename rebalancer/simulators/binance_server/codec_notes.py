"""What the server remembers beside the engine's books: JSON texts in `Account.codec`."""

from __future__ import annotations

import json
from typing import Any

from rebalancer.simulators.books import Account


def recall(account: Account, name: str, default: Any) -> Any:
    """Return what was remembered under a name, `default` when nothing was."""
    text = account.codec.get(name)
    return default if text is None else json.loads(text)


def remember(account: Account, name: str, value: Any) -> None:
    """Keep a plain value under a name; it is saved with the books."""
    account.codec[name] = json.dumps(value, separators=(",", ":"), sort_keys=True)
