"""When faults strike: on a script, and by a seed."""

from __future__ import annotations

import pytest

from rebalancer.simulators.faults import Fault, FaultKind
from rebalancer.simulators.ib_gateway.faults import (
    Do,
    SeededWireFaults,
    WireFault,
    WireRate,
    WireScript,
)
from rebalancer.simulators.ib_gateway.faults_of_the_engine import ConnectionFaults, on_the_wire

AAPL = ("AAPL.STK.USD@IB", "AAPL")


def test_a_fault_strikes_at_its_occasions_only() -> None:
    fault = WireFault("placeOrder", Do.CUT, nth=2, count=2)
    script = WireScript([fault])
    struck = [script.strikes(("placeOrder",)) is fault for _ in range(5)]
    assert struck == [False, True, True, False, False]


def test_other_messages_are_no_occasions() -> None:
    script = WireScript([WireFault("reqPositions", Do.LOSE)])
    assert script.strikes(("reqAccountSummary",)) is None
    assert script.strikes(("reqPositions",)) is not None


def test_one_fault_can_wait_for_several_messages() -> None:
    script = WireScript([WireFault("reqOpenOrders|reqAllOpenOrders", Do.LOSE, nth=2)])
    assert script.strikes(("reqOpenOrders",)) is None
    assert script.strikes(("reqAllOpenOrders",)) is not None


@pytest.mark.parametrize("subject", ["AAPL", "AAPL.STK.USD@IB"])
def test_a_subject_is_an_id_or_a_symbol_and_others_are_not_counted(subject: str) -> None:
    script = WireScript([WireFault("placeOrder", Do.LOSE, subject=subject)])
    assert script.strikes(("placeOrder",), ("KO.STK.USD@IB", "KO")) is None
    assert script.strikes(("placeOrder",), AAPL) is not None
    assert script.strikes(("placeOrder",), AAPL) is None


def test_a_message_with_finer_names_is_found_by_any_of_them() -> None:
    script = WireScript([WireFault("placeOrder:whatIf", Do.LOSE, count=None)])
    assert script.strikes(("placeOrder", "placeOrder:new")) is None
    assert script.strikes(("placeOrder", "placeOrder:whatIf")) is not None


def test_of_several_the_first_strikes_and_all_have_counted() -> None:
    first, second = WireFault("x", Do.LOSE), WireFault("x", Do.DUPLICATE, nth=2)
    script = WireScript([first, second])
    assert script.strikes(("x",)) is first
    assert script.strikes(("x",)) is second


def test_faults_that_are_added_count_from_then_on() -> None:
    script = WireScript()
    assert script.strikes(("x",)) is None
    script.add([WireFault("x", Do.LOSE)])
    assert script.strikes(("x",)) is not None


def test_a_seed_draws_the_same_faults_again_and_another_seed_others() -> None:
    rates = [WireRate(WireFault("x", Do.LOSE), 0.3), WireRate(WireFault("y", Do.CUT), 0.5)]

    def drawn(seed: int) -> list[bool]:
        faults = SeededWireFaults(seed=seed, rates=rates)
        return [faults.strikes((name,)) is not None for _ in range(200) for name in ("x", "y")]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    # 200 draws at 0.3 have 60 on average and a standard deviation of 6.5.
    assert 35 < sum(drawn(1)[::2]) < 85


def test_a_rate_of_zero_never_strikes_and_one_always_does() -> None:
    never = SeededWireFaults(rates=[WireRate(WireFault("x", Do.LOSE), 0.0)])
    always = SeededWireFaults(rates=[WireRate(WireFault("x", Do.LOSE), 1.0)])
    assert all(never.strikes(("x",)) is None for _ in range(50))
    assert all(always.strikes(("x",)) is not None for _ in range(50))


def test_a_broken_call_is_a_cut_at_the_message_that_it_sends() -> None:
    for call, message in (
        ("submit", "placeOrder:new"),
        ("replace", "placeOrder:change"),
        ("preview", "placeOrder:whatIf"),
        ("cancel", "cancelOrder"),
        ("bars", "reqHistoricalData"),
        ("wait", "advance"),
    ):
        (fault,) = on_the_wire([Fault(FaultKind.DISCONNECT, subject=call, nth=3)])
        assert (fault.on, fault.do, fault.nth) == (message, Do.CUT, 3)


def test_half_an_answer_is_an_answer_without_its_end() -> None:
    (fault,) = on_the_wire([Fault(FaultKind.BLIND_POSITIONS)])
    assert (fault.on, fault.do) == ("reqPositions", Do.NO_END)


def test_kinds_of_the_engine_itself_are_left_to_it() -> None:
    engines = [FaultKind.REJECT, FaultKind.LATE_CANCEL, FaultKind.MISSING_COMMISSION]
    assert on_the_wire([Fault(kind) for kind in engines]) == ()


def test_every_kind_strikes_somewhere() -> None:
    of_connections = {FaultKind.REFUSED_CONNECTION, FaultKind.WRONG_ACCOUNT}
    names = list(FaultKind)
    second = names[names.index(FaultKind.REFUSED_CONNECTION) :]
    for kind in set(second) - of_connections:
        assert len(on_the_wire([Fault(kind)])) == 1, kind


def test_a_refused_connection_holds_for_all_its_attempts_and_not_for_the_next() -> None:
    faults = ConnectionFaults([Fault(FaultKind.REFUSED_CONNECTION, nth=2)])
    seen = []
    for _ in range(3):
        faults.opened()
        seen.append(faults.refused)
    assert seen == [False, True, False]


def test_a_wrong_account_has_a_name() -> None:
    faults = ConnectionFaults([Fault(FaultKind.WRONG_ACCOUNT, message="DU999")])
    faults.opened()
    assert faults.account == "DU999"
    faults.opened()
    assert faults.account == ""
