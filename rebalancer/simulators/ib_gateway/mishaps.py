"""What each kind of fault does to a message of the client, and to one of the gateway's."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rebalancer.simulators.ib_gateway import lies
from rebalancer.simulators.ib_gateway.faults import Do, WireFault
from rebalancer.simulators.ib_gateway.frames import pack

if TYPE_CHECKING:
    from rebalancer.simulators.ib_gateway.tap import Asked, Tap

_RESTORED = 1102

# ---------------------------------------------------------------------- to the client's messages


def _lose(_tap: Tap, _fault: WireFault, _asked: Asked) -> None:
    """Do nothing: it never arrived."""


def _delay(tap: Tap, fault: WireFault, asked: Asked) -> None:
    tap.later(fault.seconds, lambda: tap.run(asked))


def _duplicate(tap: Tap, _fault: WireFault, asked: Asked) -> None:
    tap.run(asked)
    tap.run(asked)


def _cut(tap: Tap, _fault: WireFault, _asked: Asked) -> None:
    tap.drop()


def _cut_after(tap: Tap, _fault: WireFault, asked: Asked) -> None:
    tap.answer_to(asked)
    tap.drop()


def _stall(tap: Tap, _fault: WireFault, _asked: Asked) -> None:
    tap.stalled = True


def _lose_answer(tap: Tap, _fault: WireFault, asked: Asked) -> None:
    if asked.name == "placeOrder":
        tap.lost_orders.add(asked.number)
    elif "reqId" in asked.values:
        tap.lost_requests.add(asked.number)
    tap.answer_to(asked)


def _delay_answer(tap: Tap, fault: WireFault, asked: Asked) -> None:
    answer = tap.answer_to(asked)
    tap.later(fault.seconds, lambda: _say_all(tap, answer))


def _double_answer(tap: Tap, _fault: WireFault, asked: Asked) -> None:
    answer = tap.answer_to(asked)
    _say_all(tap, [message for message in answer for _ in range(2)])


def _no_end(tap: Tap, _fault: WireFault, asked: Asked) -> None:
    _say_all(tap, [message for message in tap.answer_to(asked) if not _ends(message)])


def _half(tap: Tap, _fault: WireFault, asked: Asked) -> None:
    rows = [message for message in tap.answer_to(asked) if not _ends(message)]
    _say_all(tap, rows[: len(rows) // 2])


def _gaps(tap: Tap, _fault: WireFault, asked: Asked) -> None:
    answer = tap.answer_to(asked)
    rows = [message for message in answer if not _ends(message)]
    _say_all(tap, [*rows[::2], *(message for message in answer if _ends(message))])


def _error(tap: Tap, fault: WireFault, asked: Asked) -> None:
    tap.error(asked.number if fault.with_id else -1, fault)


def _error_cut(tap: Tap, fault: WireFault, asked: Asked) -> None:
    _error(tap, fault, asked)
    tap.drop()


def _notice(tap: Tap, fault: WireFault, asked: Asked) -> None:
    tap.error(asked.number if fault.with_id else -1, fault)
    tap.run(asked)


def _cap(tap: Tap, fault: WireFault, asked: Asked) -> None:
    before = len(tap.gateway.exchange.account.orders)
    tap.run(asked)
    for order in tap.gateway.exchange.account.orders[before:]:
        order.cap = Decimal(fault.quantity)
    tap.gateway.exchange.save()


def _restart(tap: Tap, fault: WireFault, _asked: Asked) -> None:
    gateway = tap.gateway
    gateway.faults.closed_until = tap.loop.time() + fault.seconds
    gateway.restart(roll_back_ids=fault.do is Do.ROLL_BACK)


def _connectivity(tap: Tap, fault: WireFault, asked: Asked) -> None:
    for session in tuple(tap.gateway.sessions.values()):
        session.tap.darken(fault.seconds, fault.code or _RESTORED)
    tap.wait_for_light(asked)


def _quote(tap: Tap, fault: WireFault, asked: Asked) -> None:
    tap.spoilt.quotes[asked.number] = fault
    if fault.do is Do.DELAYED:
        tap.error(asked.number, WireFault(fault.on, fault.do, code=10167, text=fault.text))
    tap.run(asked)


def _skew(tap: Tap, fault: WireFault, asked: Asked) -> None:
    tap.spoilt.skew_seconds = fault.seconds
    tap.run(asked)


def _account(tap: Tap, fault: WireFault, asked: Asked) -> None:
    tap.spoilt.account = fault.text
    tap.run(asked)


def _say_all(tap: Tap, messages: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    for name, values in messages:
        tap.say(name, values)


def _ends(message: tuple[str, Mapping[str, Any]]) -> bool:
    return message[0].endswith("End")


REQUESTS: Mapping[Do, Callable[[Tap, WireFault, Asked], None]] = {
    Do.LOSE: _lose,
    Do.DELAY: _delay,
    Do.DUPLICATE: _duplicate,
    Do.CUT: _cut,
    Do.CUT_AFTER: _cut_after,
    Do.STALL: _stall,
    Do.RESTART: _restart,
    Do.ROLL_BACK: _restart,
    Do.CONNECTIVITY: _connectivity,
    Do.LOSE_ANSWER: _lose_answer,
    Do.DELAY_ANSWER: _delay_answer,
    Do.DOUBLE_ANSWER: _double_answer,
    Do.NO_END: _no_end,
    Do.HALF: _half,
    Do.GAPS: _gaps,
    Do.NO_ROWS: lies.no_rows,
    Do.OLD_ROWS: lies.old_rows,
    Do.OLD_ACCOUNT: lies.old_account,
    Do.INACTIVE: lies.inactive,
    Do.SECOND_ID: lies.second_id,
    Do.ERROR: _error,
    Do.ERROR_CUT: _error_cut,
    Do.NOTICE: _notice,
    Do.CAP: _cap,
    Do.ACCOUNT: _account,
    Do.SKEW: _skew,
    Do.NO_QUOTE: _quote,
    Do.CROSSED: _quote,
    Do.ONE_SIDED: _quote,
    Do.STALE: _quote,
    Do.ZERO: _quote,
    Do.NAN: _quote,
    Do.DELAYED: _quote,
}

# ---------------------------------------------------------------------- to the gateway's messages


def _out_lost(_tap: Tap, _fault: WireFault, _fields: Sequence[str]) -> None:
    """Do nothing: it is never sent."""


def _out_late(tap: Tap, fault: WireFault, fields: Sequence[str]) -> None:
    tap.later(fault.seconds, lambda: tap.write(pack(fields)))


def _out_held(tap: Tap, fault: WireFault, fields: Sequence[str]) -> None:
    tap.hold(fault.seconds)
    tap.write(pack(fields))


def _out_twice(tap: Tap, _fault: WireFault, fields: Sequence[str]) -> None:
    tap.write(pack(fields) * 2)


def _out_cut(tap: Tap, _fault: WireFault, _fields: Sequence[str]) -> None:
    tap.drop()


def _out_cut_after(tap: Tap, _fault: WireFault, fields: Sequence[str]) -> None:
    tap.write(pack(fields))
    tap.drop()


def _out_cut_inside(tap: Tap, _fault: WireFault, fields: Sequence[str]) -> None:
    frame = pack(fields)
    tap.write(frame[: len(frame) // 2])
    tap.drop()


def _out_garbage(tap: Tap, fault: WireFault, fields: Sequence[str]) -> None:
    spoilt = list(fields)
    # The message id stays, so that the client looks at the rubbish at all.
    for place in range(1 + fault.nth % 2, len(spoilt), 3):
        spoilt[place] = _rubbish(place, "".join(fields))[:8].hex()
    tap.write(pack(spoilt))


def _out_garbage_bytes(tap: Tap, _fault: WireFault, fields: Sequence[str]) -> None:
    body = b"".join(_rubbish(n, "".join(fields)) for n in range(4))
    tap.write(len(body).to_bytes(4, "big") + body)


def _out_stall(tap: Tap, _fault: WireFault, _fields: Sequence[str]) -> None:
    tap.stalled = True


def _out_restart(tap: Tap, fault: WireFault, _fields: Sequence[str]) -> None:
    gateway = tap.gateway
    gateway.faults.closed_until = tap.loop.time() + fault.seconds
    gateway.restart(roll_back_ids=fault.do is Do.ROLL_BACK)


def _out_dark(tap: Tap, fault: WireFault, _fields: Sequence[str]) -> None:
    for session in tuple(tap.gateway.sessions.values()):
        session.tap.darken(fault.seconds, fault.code or _RESTORED)


def _out_notice(tap: Tap, fault: WireFault, fields: Sequence[str]) -> None:
    tap.write(pack(fields))
    tap.error(-1, fault)


def _rubbish(number: int, text: str) -> bytes:
    return hashlib.sha256(f"{number}|{text}".encode("utf-8", "backslashreplace")).digest()


MESSAGES: Mapping[Do, Callable[[Tap, WireFault, Sequence[str]], None]] = {
    Do.LOSE: _out_lost,
    Do.DELAY: _out_late,
    Do.HOLD: _out_held,
    Do.DUPLICATE: _out_twice,
    Do.CUT: _out_cut,
    Do.CUT_AFTER: _out_cut_after,
    Do.CUT_INSIDE: _out_cut_inside,
    Do.GARBAGE: _out_garbage,
    Do.GARBAGE_BYTES: _out_garbage_bytes,
    Do.STALL: _out_stall,
    Do.RESTART: _out_restart,
    Do.ROLL_BACK: _out_restart,
    Do.CONNECTIVITY: _out_dark,
    Do.NOTICE: _out_notice,
}
