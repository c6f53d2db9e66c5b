"""The routes as tables for people: what the simulated exchange answers, in Markdown."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from rebalancer.simulators.binance_server.call import Route
from rebalancer.simulators.binance_server.routes import ROUTES

_GROUPS = {
    "/api": "Spot: `/api`",
    "/fapi": "USDⓈ-M futures: `/fapi`",
    "/sapi": "Wallet: `/sapi`",
    "/dapi": "COIN-M futures: `/dapi`",
}


def document() -> str:
    """Return the page, a table for each product, routes by path and method."""
    parts = [
        "Weight is what a request costs of the minute's (6,000 on spot, 2,400 on futures);",
        "`varies`: by its parameters, as the exchange documents it. Orders is how many it counts",
        "as. Signed: with key, timestamp and signature; key: with the key alone. Every other path",
        "is answered as the exchange answers an unknown one: 404.",
    ]
    for start, title in _GROUPS.items():
        parts += ["", f"## {title}", "", "| Route | Weight | Orders | | Answer |"]
        parts += ["|---|---|---|---|---|", *_rows(start)]
    return "\n".join(parts) + "\n"


def _rows(start: str) -> Iterator[str]:
    named = [(name.partition(" ")[2], name.partition(" ")[0], name) for name in ROUTES]
    for path, method, name in sorted(named):
        if path.startswith(f"{start}/"):
            yield f"| `{method} {path}` | {_terms(ROUTES[name])} | {_words(ROUTES[name])} |"


def _terms(route: Route) -> str:
    weight = f"{route.weight}" if isinstance(route.weight, int) else "varies"
    access = "signed" if route.signed else "key" if route.keyed else ""
    return f"{weight} | {route.orders or ''} | {access}"


def _words(route: Route) -> str:
    """Return what the handler says of itself."""
    first = (route.handler.__doc__ or "").partition("\n")[0].removeprefix("Return ")
    return (first[:1].upper() + first[1:]).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(document())
