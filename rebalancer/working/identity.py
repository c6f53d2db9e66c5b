"""Books belong to one account: whoever changes the account needs other books."""

from __future__ import annotations

from rebalancer.errors import AnotherAccount
from rebalancer.model.records import Standing


def require_own_books(standing: Standing, identity: str) -> None:
    """Raise `AnotherAccount` when these books are of another account than `identity`."""
    if standing.account and identity and standing.account != identity:
        raise AnotherAccount(
            f"the books in this state folder are of {standing.account}, and the configuration "
            f"trades {identity}"
        )
