"""Faults as people write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from rebalancer.errors import DataError
from rebalancer.simulators.faults import Fault, FaultKind
from rebalancer.simulators.ib_gateway.faults import Do, WireFault, WireRate
from rebalancer.simulators.ib_gateway.faults_file import FaultPlan, read_faults

TOML = """
[[wire]]
on = "placeOrder"
do = "error"
code = 201
text = "no, thank you"
with_id = false

[[wire]]
on = "orderStatus"
do = "delay"
seconds = 3
count = "all"
subject = "KO"

[[venue]]
kind = "MISSING_COMMISSION"
subject = "KO.STK.USD@IB"

[seeded]
seed = 9
[[seeded.rates]]
on = "reqPositions|reqAccountSummary"
do = "no-end"
rate = 0.25
"""
PLAN = FaultPlan(
    wire=(
        WireFault("placeOrder", Do.ERROR, code=201, text="no, thank you", with_id=False),
        WireFault("orderStatus", Do.DELAY, count=None, seconds=3.0, subject="KO"),
    ),
    venue=(Fault(FaultKind.MISSING_COMMISSION, subject="KO.STK.USD@IB"),),
    rates=(WireRate(WireFault("reqPositions|reqAccountSummary", Do.NO_END), 0.25),),
    seed=9,
)


def test_a_word_is_a_fault_on_the_wire() -> None:
    plan = read_faults("on=placeOrder, do=cut-after, nth=2")
    assert plan == FaultPlan(wire=(WireFault("placeOrder", Do.CUT_AFTER, nth=2),))
    plan = read_faults("on=placeOrder,do=error,code=201,text=no,with_id=false")
    assert plan.wire == (WireFault("placeOrder", Do.ERROR, code=201, text="no", with_id=False),)


def test_a_word_with_a_kind_is_a_fault_at_the_venue() -> None:
    plan = read_faults("kind=LATE_COMMISSION,seconds=300,count=all")
    assert plan == FaultPlan(venue=(Fault(FaultKind.LATE_COMMISSION, count=None, seconds=300.0),))


def test_a_toml_file_has_all_of_them(tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(TOML)
    assert read_faults(str(path)) == PLAN


def test_a_json_file_has_the_same(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    path.write_text('{"wire": [{"on": "placeOrder", "do": "cut"}], "seeded": {"seed": 3}}')
    assert read_faults(str(path)) == FaultPlan(wire=(WireFault("placeOrder", Do.CUT),), seed=3)


def test_several_add_up() -> None:
    both = read_faults("on=placeOrder,do=cut").with_more(read_faults("kind=REJECT"))
    assert (len(both.wire), len(both.venue), both.seed) == (1, 1, 1)


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("on=placeOrdr,do=cut", r"--fault: on 'placeOrdr' is not known \(did you mean placeOrder"),
        ("on=placeOrder,do=cutt", r"do 'cutt' is not known \(did you mean cut\?\)"),
        ("do=cut", "on is missing"),
        ("on=placeOrder", "do is missing"),
        ("on=placeOrder,do=cut,nht=2", r"key 'nht' is not known \(did you mean nth\?\)"),
        ("on=placeOrder,do=cut,nth=two", "nth = 'two': expected int"),
        ("on=placeOrder,do=cut,nth=0", "counted from 1"),
        ("on=placeOrder,do=delay,seconds=-1", "cannot be negative"),
        ("on=orderStatus,do=no-end", "orderStatus cannot suffer that"),
        ("on=placeOrder,do=cut-inside", "placeOrder cannot suffer that"),
        ("kind=LATE_COMISSION", "did you mean LATE_COMMISSION"),
        ("no-such-file.toml", "no-such-file.toml: cannot read it"),
    ],
)
def test_a_bad_word_is_explained(word: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_faults(word)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("wire = 5", "wire: expected a list of tables"),
        ("[[wires]]", r"table 'wires' is not known \(did you mean wire"),
        ("[[wire]]\non = 'placeOrder'\ndo = 'cut'\nnth = true", r"wire\[0\]: nth = True"),
        ("[seeded]\nsead = 1", "key 'sead' is not known"),
        ("[[seeded.rates]]\non='placeOrder'\ndo='cut'\nrate=2", r"rate = 2: expected a number"),
        ("[[wire", "faults.toml: "),
    ],
)
def test_a_bad_file_is_named_with_key_and_value(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(text)
    with pytest.raises(DataError, match=words):
        read_faults(str(path))
