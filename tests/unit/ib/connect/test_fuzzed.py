"""Rubbish on the wire while connecting: a clear error or the truth, never half of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rebalancer.errors import ConnectError
from rebalancer.simulators.ib_gateway.faults import Do, WireFault
from tests.unit.ib.connect.rig import Scene

EVERYTHING = (
    "managedAccounts|nextValidId|errMsg|contractData|contractDataEnd|marketRule|accountValue|"
    "portfolioValue|updateTime|accountDownloadEnd|position|positionEnd|openOrderEnd|"
    "completedOrdersEnd|execDetails|execDetailsEnd|commissionReport|currentTime"
)


@pytest.mark.parametrize("do", [Do.GARBAGE, Do.GARBAGE_BYTES, Do.CUT_INSIDE, Do.LOSE, Do.DUPLICATE])
def test_any_message_may_be_rubbish(tmp_path: Path, do: Do) -> None:
    scene = Scene(tmp_path)
    scene.buys(10)
    with scene.connected() as venue:
        truth = venue.account()
    refused = 0
    for number in (*range(1, 16), *range(16, 200, 23)):
        try:
            with scene.connected(WireFault(EVERYTHING, do, nth=number)) as venue:
                found = venue.account()
        except ConnectError:
            refused += 1
        else:
            assert found.positions == truth.positions
            assert found.net_liquidation == truth.net_liquidation
            assert found.cash == truth.cash
        assert "placeOrder" not in scene.counts
        assert scene.gateway.gateway.sessions == {}
    assert refused > 0 or do is Do.DUPLICATE
