"""What faults are called where people read of them."""

from __future__ import annotations

from rebalancer.simulators.binance_server.faults import TEXTS, Do, HttpFault


def test_every_word_says_what_it_does_in_the_log() -> None:
    for do in Do:
        assert HttpFault("*", do, seconds=2).note().startswith(f"fault: {do.value} 2 s")
    assert HttpFault("*", Do.STATUS_AFTER, code=-1001).note() == "fault: status-after -1001"


def test_a_code_brings_the_exchanges_words_unless_others_are_given() -> None:
    assert "execution status unknown" in HttpFault("*", Do.STATUS_AFTER).words()
    assert HttpFault("*", Do.STATUS_AFTER, code=0).words() == "Service Unavailable."
    assert HttpFault("*", Do.STATUS_AFTER, message="no").words() == "no"
    assert all(code <= 0 and text.strip() for code, text in TEXTS.items())
