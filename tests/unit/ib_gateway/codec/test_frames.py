"""Frames: lengths, NULs, and bytes that arrive in any pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebalancer.simulators.ib_gateway.frames import LARGEST, Unpacker, WireError, pack

_TEXTS = st.text(st.characters(exclude_characters="\0\ufffd", exclude_categories=["Cs"]))
_FRAMES = st.lists(st.lists(_TEXTS, min_size=1, max_size=5), max_size=5)


def test_a_frame_is_its_length_and_texts_that_end_with_a_nul() -> None:
    assert pack(("49", "1")) == b"\0\0\0\x0549\x001\0"
    assert pack(("9", "", "é")) == b"\0\0\0\x069\0\0\xc3\xa9\0"
    assert pack(()) == b"\0\0\0\0"


@given(_FRAMES, st.lists(st.integers(0, 200), max_size=8))
def test_frames_arrive_whole_however_they_are_cut(frames: list[list[str]], cuts: list[int]) -> None:
    data = b"".join(pack(fields) for fields in frames)
    unpacker, found, start = Unpacker(), [], 0
    for cut in (*sorted(cuts), len(data)):
        found += unpacker.feed(data[start:cut])
        start = max(start, cut)
    assert found == [tuple(fields) for fields in frames]


def test_a_field_with_a_nul_in_it_is_not_packed() -> None:
    with pytest.raises(ValueError, match="NUL"):
        pack(("4", "a\0b"))


def test_a_frame_that_is_too_large_is_not_packed() -> None:
    with pytest.raises(ValueError, match="larger"):
        pack(("x" * LARGEST,))


def test_a_length_beyond_the_limit_is_an_error_at_once() -> None:
    with pytest.raises(WireError) as caught:
        Unpacker().feed((LARGEST + 1).to_bytes(4, "big"))
    assert (caught.value.code, caught.value.request_id) == (320, -1)
    assert caught.value.before == ()


def test_the_largest_length_is_waited_for() -> None:
    assert Unpacker().feed(LARGEST.to_bytes(4, "big") + b"49\0") == []


def test_an_error_of_the_length_hands_over_the_whole_frames_before_it() -> None:
    with pytest.raises(WireError) as caught:
        Unpacker().feed(pack(("49", "1")) + b"\xff\xff\xff\xff")
    assert caught.value.before == (("49", "1"),)


def test_a_message_whose_number_is_no_text_is_an_error() -> None:
    with pytest.raises(WireError) as caught:
        Unpacker().feed(b"\0\0\0\x03\xff\xfe\0")
    assert caught.value.code == 320


def test_other_bytes_that_are_no_utf8_become_the_replacement_character() -> None:
    assert Unpacker().feed(b"\0\0\0\x0581\x005\xff"[:8] + b"\xff") == [("81", "5\ufffd")]


def test_an_empty_frame_is_a_frame_without_fields() -> None:
    assert Unpacker().feed(pack(())) == [()]
