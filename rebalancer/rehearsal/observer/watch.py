"""What is looked at while a run is at work, because afterwards it cannot be seen any more.

Was the intent on the disk before the order was sent? Did a HALT file stand? Did a position lose
its last stop for a moment? The watch stands between the program and its hands, beside the
venue's wire and around the files; it changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rebalancer.model.orders import MarginPreview, Place, Replace, VenueEvent, WorkingOrder
from rebalancer.model.stops import PlaceStop, StopOrder
from rebalancer.ports import Hands, Venue
from rebalancer.rehearsal.evidence import Arrival
from rebalancer.rehearsal.observer.on_the_wire import GatewayWire, ServerWire
from rebalancer.rehearsal.observer.stops_kept import StopsKept
from rebalancer.store.atomic import Files

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.server import BinanceServer
    from rebalancer.simulators.ib_gateway.gateway import Gateway

JOURNAL = "journal.jsonl"
HALT = "HALT"


class Watch:
    """One for a schedule; `begin` at each run, `arrivals` and `naked` after it.

    `state` is the portfolio's folder. Without `files` every line that is in a journal counts as
    durable.
    """

    def __init__(self, state: Path) -> None:
        self.state = state
        self._seen: list[Arrival] = []
        self._naked: list[str] = []
        self._stops = StopsKept(self._naked)
        self._durable: dict[Path, int] = {}
        self._watches_files = False
        self._quotes: dict[str, Decimal] = {}
        self._known: dict[Path, bytes] = {}

    # ------------------------------------------------------------------ what the driver calls

    def gateway(self, gateway: Gateway) -> None:
        """Listen to a gateway's wire from now on; once for each gateway."""
        GatewayWire(self, gateway).listen()

    def server(self, server: BinanceServer, *, stops: bool = True) -> None:
        """Listen to an exchange's requests from now on; `stops`: look after each at its stops."""
        ServerWire(self, server, self._stops if stops else None).listen()

    def files(self, inner: Files) -> Files:
        """Return files that remember how much of each journal the disk is known to have."""
        self._watches_files = True
        return _WatchedFiles(inner, self._durable)

    def hands(self, inner: Hands, venue: Venue) -> Hands:
        """Return hands that note what they are asked; put them around all others."""
        return _WatchedHands(inner, venue, self)

    def begin(self, *, by_hand: bool = False) -> None:
        """Begin a run: forget what the one before was seen to do.

        What the owner does `by_hand` goes on in spite of the HALT files that stand by now.
        """
        self._known = self._halts() if by_hand else {}
        self._seen.clear()
        self._naked.clear()
        self._quotes.clear()

    @property
    def arrivals(self) -> tuple[Arrival, ...]:
        """Return the order messages of this run so far."""
        return tuple(self._seen)

    @property
    def naked(self) -> tuple[str, ...]:
        """Return the positions that lost their last stop in this run, in words."""
        return tuple(self._naked)

    # ------------------------------------------------------------------ what its parts call

    def note(self, at: datetime, message: str, verb: str, **more: Any) -> None:
        """Keep a message as it is now seen."""
        reference = more.get("reference", "")
        journaled = verb in ("new", "stop") and self.journaled(reference)
        age = self._quotes.get(more.get("instrument", ""))
        self._seen.append(
            Arrival(
                at, message, verb, journaled=journaled, halt=self.halted(), quote_age=age, **more
            )
        )

    def quoted(self, instrument: str, age: Decimal) -> None:
        """Keep how old a quote is that the venue tells; the freshest of the run counts."""
        self._quotes[instrument] = min(age, self._quotes.get(instrument, age))

    def halted(self) -> bool:
        """Return whether a HALT file is to be obeyed, the portfolio's or everybody's."""
        return any(self._known.get(path) != told for path, told in self._halts().items())

    def _halts(self) -> dict[Path, bytes]:
        """Return what each HALT file says."""
        paths = (self.state / HALT, self.state.parent / HALT)
        return {path: path.read_bytes() for path in paths if path.exists()}

    def journaled(self, reference: str) -> bool:
        """Return whether a reference stands in a whole, durable line of intents or stops."""
        wanted = f'"{reference}"'.encode()
        return any(
            wanted in line and _names(line, reference)
            for path in sorted((self.state / "runs").glob(f"*/{JOURNAL}"), reverse=True)
            for line in self._whole_lines(path)
        )

    def _whole_lines(self, path: Path) -> Sequence[bytes]:
        try:
            content = path.read_bytes()
        except OSError:
            return ()
        if self._watches_files:
            content = content[: self._durable.get(path, 0)]
        return content.split(b"\n")[:-1]


def _names(line: bytes, reference: str) -> bool:
    """Return whether a journal's line announces an order or a stop of that reference."""
    try:
        told: Mapping[str, Any] = json.loads(line)
    except ValueError:
        return False
    listed = (*told.get("orders", ()), *told.get("stops", ()))
    return told.get("kind") in ("intents", "stops") and any(
        each.get("reference") == reference for each in listed
    )


class _WatchedFiles(Files):
    """Files that note up to where each file is known to be on the disk."""

    def __init__(self, inner: Files, durable: dict[Path, int]) -> None:
        self._inner, self._known = inner, durable

    def replace(self, path: Path, content: bytes) -> None:
        self._inner.replace(path, content)
        if path.name == JOURNAL:
            self._known[path] = len(content)

    def append(self, path: Path, content: bytes, *, durable: bool = True) -> None:
        self._inner.append(path, content, durable=durable)
        if durable and path.name == JOURNAL:
            self._known[path] = path.stat().st_size

    def read(self, path: Path) -> bytes:
        return self._inner.read(path)

    def exists(self, path: Path) -> bool:
        return self._inner.exists(path)

    def require_no_folder(self, path: Path) -> None:
        self._inner.require_no_folder(path)

    def listing(self, folder: Path) -> tuple[str, ...]:
        return self._inner.listing(folder)

    def make_folder(self, path: Path) -> None:
        self._inner.make_folder(path)

    def remove(self, path: Path) -> None:
        self._inner.remove(path)

    def remove_folder(self, path: Path) -> None:
        self._inner.remove_folder(path)


class _WatchedHands:
    """Hands that note what they are asked, before anything else happens."""

    def __init__(self, inner: Hands, venue: Venue, watch: Watch) -> None:
        self._inner, self._venue, self._watch = inner, venue, watch
        self.sends = inner.sends

    def cancel(self, order: WorkingOrder) -> tuple[VenueEvent, ...]:
        self._note("cancel", "cancel", order.reference, order.instrument)
        return self._inner.cancel(order)

    def preview(self, place: Place) -> MarginPreview:
        return self._inner.preview(place)

    def submit(self, places: Sequence[Place]) -> tuple[VenueEvent, ...]:
        for place in places:
            self._note(
                "submit", "new", place.reference, place.instrument, place.quantity, place.limit
            )
        return self._inner.submit(places)

    def replace(self, replace: Replace) -> tuple[VenueEvent, ...]:
        self._note(
            "replace",
            "change",
            replace.reference,
            replace.instrument,
            replace.quantity,
            replace.limit,
        )
        return self._inner.replace(replace)

    def place_stop(self, stop: PlaceStop) -> StopOrder:
        self._note("place_stop", "stop", stop.reference, stop.instrument, stop.quantity)
        return self._inner.place_stop(stop)

    def cancel_stop(self, stop: StopOrder) -> StopOrder:
        self._note("cancel_stop", "cancel-stop", stop.reference, stop.instrument)
        return self._inner.cancel_stop(stop)

    def _note(
        self,
        name: str,
        verb: str,
        reference: str,
        instrument: str,
        quantity: Decimal | None = None,
        limit: Decimal | None = None,
    ) -> None:
        if not self.sends:
            return  # nothing leaves; the wire will say so
        self._watch.note(
            self._venue.now(),
            f"hands.{name}",
            verb,
            reference=reference,
            instrument=instrument,
            quantity=quantity,
            limit=limit,
        )
