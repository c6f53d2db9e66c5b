"""A gateway's spec, as a value that travels."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from rebalancer.errors import DataError
from rebalancer.simulators.faults import Fault, FaultKind
from rebalancer.simulators.ib_gateway.faults import Do, WireFault, WireRate
from rebalancer.simulators.ib_gateway.spec import GatewaySpec, spec_from_json, spec_to_json
from rebalancer.simulators.ib_gateway.standalone import other_instruments, recorded_sessions
from rebalancer.simulators.parameters import PaperSettings
from rebalancer.simulators.recording import recording

SPEC = GatewaySpec(
    account="DU1234567",
    base="USD",
    folder="/somewhere/paper",
    instruments=other_instruments(PaperSettings().start),
    settings=PaperSettings(seed=7, fx={"EUR": Decimal("1.10")}, cash={"USD": Decimal("1000.50")}),
    fee_prices={"minimum": Decimal("0.5")},
    sessions=recorded_sessions(recording("us_equities")),
    other_accounts=("DU2",),
    faults=(Fault(FaultKind.LATE_CANCEL, count=None, seconds=5.0),),
    wire_faults=(WireFault("placeOrder", Do.CUT),),
    wire_rates=(WireRate(WireFault("orderStatus", Do.LOSE), 0.1),),
)


def test_a_spec_comes_back_as_it_was() -> None:
    back = spec_from_json(spec_to_json(SPEC))
    assert replace(back, sessions=()) == replace(SPEC, sessions=())
    assert list(back.sessions) == list(SPEC.sessions)


def test_a_spec_is_one_line_and_the_same_bytes_each_time() -> None:
    text = spec_to_json(SPEC)
    assert "\n" not in text
    assert text == spec_to_json(spec_from_json(text))


def test_what_is_left_out_has_its_default() -> None:
    spec = spec_from_json('{"account":"A","base":"USD","folder":null}')
    assert spec == GatewaySpec(account="A", base="USD", folder=None)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"accont": 1}, r"spec\.accont: unknown key"),
        ({"account": 5}, r"spec\.account: 5 is not a str"),
        ({"sessions": {"days": [1]}}, r"spec\.sessions: not columns"),
        (
            {"sessions": {"days": [1], "opens": [], "closes": [], "half_days": [], "always": 0}},
            "different lengths",
        ),
        ({"settings": {"sead": 1}}, r"spec\.settings\.sead: unknown key"),
        ({"wire_faults": [{"on": "x", "do": "y"}]}, r"spec\.wire_faults\[0\]\.do: 'y'"),
        ({"market_data": "free"}, "expected one of live, delayed"),
        ({"max_version": 200}, "serves 157 to 178"),
    ],
)
def test_a_bad_spec_names_what_is_wrong(change: dict[str, Any], words: str) -> None:
    plain = json.loads(spec_to_json(SPEC)) | change
    with pytest.raises(DataError, match=words):
        spec_from_json(json.dumps(plain))


@pytest.mark.parametrize("text", ["", "[1]", "{"])
def test_what_is_no_spec_at_all_is_an_error(text: str) -> None:
    with pytest.raises(DataError, match="spec: "):
        spec_from_json(text)


def test_a_missing_field_is_named() -> None:
    with pytest.raises(DataError, match=r"spec\.base: missing"):
        spec_from_json('{"account":"A","folder":null}')
