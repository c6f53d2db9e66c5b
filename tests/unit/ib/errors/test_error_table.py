"""What each error code of Interactive Brokers means to a run; our table, not the library's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rebalancer.brokers.ib.errors import (
    TABLE,
    ErrorKind,
    is_known,
    is_refusal,
    learn,
    meaning,
    read_table,
)
from rebalancer.brokers.ib.heard import Heard, said
from rebalancer.errors import ConfigError

RECOMMENDED = """
2104 information connection   farm OK
2106 information connection
2158 information connection
2107 information connection   farm idle
2108 information connection
2119 information connection   farm connecting
2103 wait        connection   farm broken
2105 wait        connection
2157 wait        connection
2109 information order        an attribute of the order is ignored
2161 information order
1100 wait        connection   gateway to IB lost
1101 information connection   restored, data lost
1102 information connection   restored, data kept
1300 halt        connection   socket port reset
502  wait        connection   cannot connect
504  wait        connection   not connected
503  halt        connection   TWS out of date
326  halt        connection   client id in use
100  unknown     connection   more than 50 messages a second
103  unknown     order        duplicate order id: the earlier order may live
104  information order        cannot modify a filled order: it is filled
105  hold        order        modify does not match: the original order lives
110  rejected    order        price not on the tick
135  information order        unknown order id on cancel
10147 information order
161  information order        not cancellable in this state
10148 information order
200  rejected    order        no security definition
201  rejected    order        margin, permissions, product
203  rejected    order
10289 rejected   order
10293 rejected   order
202  information order        cancelled: the confirmation
321  rejected    order        validation error
329  hold        order        modify failed: the original order lives
354  data        request      not subscribed
10089 data       request
10090 data       request
10167 data       request      delayed data follows
10168 data       request
10197 halt       connection   competing session: no prices, no orders
383  rejected    order        size over the limit of TWS
399  information order        held until the open: the order lives
404  hold        order        shares are located: the order lives
434  rejected    order        size zero
451  rejected    order        preset limits
461  rejected    order
10268 rejected   order
10318 rejected   order
460  rejected    order        no trading permission
10349 information order       time in force set by a preset: the order lives
162  data        request      historical data notices
165  data        request
366  data        request
10182 data       request      live updates failed
542  wait        connection   account data send error
507  wait        connection   bad message
"""
"""Every code of our collected facts about the API and what is recommended there, typed by hand."""

ROWS = [line.split()[:3] for line in RECOMMENDED.split("\n") if line]
FILLED_ALL_15 = 10349


@pytest.fixture(autouse=True)
def only_our_own_table() -> Iterator[None]:
    learn(None)
    yield
    learn(None)


@pytest.mark.parametrize(("code", "kind", "about"), ROWS, ids=[row[0] for row in ROWS])
def test_each_code_is_what_the_facts_recommend(code: str, kind: str, about: str) -> None:
    found = meaning(int(code))
    assert (found.code, found.kind.value, found.about.value) == (int(code), kind, about)
    assert found.meaning
    assert is_refusal(int(code)) == (kind == "rejected")


def test_whatever_needs_somebody_says_what_to_do() -> None:
    for code, found in read_table(TABLE).items():
        assert found.advice or found.kind is ErrorKind.INFORMATION, code


def test_every_notice_between_2100_and_2199_changes_nothing() -> None:
    waits = {2103, 2105, 2157}
    kinds = {code: meaning(code).kind for code in range(2100, 2200)}
    assert {code for code, kind in kinds.items() if kind is not ErrorKind.INFORMATION} == waits


@pytest.mark.parametrize("code", [0, 1, 388, 999, 2200, 10000, 99999])
def test_a_code_that_nobody_has_listed_is_unknown_and_never_a_refusal(code: int) -> None:
    found = meaning(code)
    assert found.kind is ErrorKind.UNKNOWN
    assert not is_known(code)
    assert not is_refusal(code)
    assert "ib_errors.toml" in found.advice


def test_no_code_at_all_is_taken_for_a_cancel() -> None:
    """10349 was: 15 orders went out in 17 seconds, and all were filled."""
    assert not is_refusal(FILLED_ALL_15)
    assert meaning(FILLED_ALL_15).kind is ErrorKind.INFORMATION


def test_the_words_name_the_code_what_it_means_and_what_to_do() -> None:
    words = said(201, "Order rejected - reason:No margin \n")
    assert words.startswith("Order rejected - reason:No margin (code 201: ")
    assert meaning(201).advice in words


# ---------------------------------------------------------------------- the owner's own file


def own(folder: Path, text: str) -> Path:
    (folder / "ib_errors.toml").write_text(text, encoding="utf-8")
    return folder


def test_the_owner_adds_and_changes_codes_in_one_file(tmp_path: Path) -> None:
    text = '[388]\nkind = "rejected"\nabout = "order"\nmeaning = "too small"\n'
    text += '[404]\nkind = "halt"\nabout = "order"\nmeaning = "no shorts here"\nadvice = "ask"\n'
    learn(own(tmp_path, text))
    assert is_refusal(388)
    assert meaning(404).kind is ErrorKind.HALT
    assert meaning(201).kind is ErrorKind.REJECTED, "what is not named stays"
    learn(None)
    assert not is_known(388)
    assert meaning(404).kind is ErrorKind.HOLD


def test_without_a_file_the_table_is_ours(tmp_path: Path) -> None:
    learn(tmp_path)
    assert not is_known(388)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[10349]\nkind = "cancelled"\nabout = "order"\nmeaning = "x"\n',
         "10349.kind = cancelled: missing or not known (one of information, wait"),
        ('[10349]\nabout = "order"\nmeaning = "x"\n', "10349.kind: missing"),
        ('[10349]\nkind = "hold"\nabout = "me"\nmeaning = "x"\n', "10349.about = me"),
        ('[10349]\nkind = "hold"\nabout = "order"\n', "10349.meaning: missing"),
        ('[10349]\nkind = "hold"\nabout = "order"\nmeaning = 7\n', "10349.meaning = 7: must be"),
        ('[10349]\nkind = "hold"\nabout = "order"\nmeaning = "x"\nadvise = "y"\n',
         "10349.advise = y: unknown key (known: kind, about, meaning, advice)"),
        ('[tif]\nkind = "hold"\nabout = "order"\nmeaning = "x"\n', "tif: is not an error code"),
        ("10349 = 3\n", "10349 = 3: must be a table (write [10349])"),
        ("[10349\n", "file: cannot be read"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_the_owners_file_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        learn(own(tmp_path, text))
    assert f"{tmp_path / 'ib_errors.toml'}: {words}" in str(error.value)


def test_everything_that_is_wrong_is_named_at_once(tmp_path: Path) -> None:
    text = '[1]\nkind = "a"\nabout = "b"\nzebra = 1\nant = 2\n[x]\n'
    with pytest.raises(ConfigError) as error:
        learn(own(tmp_path, text))
    keys = [problem.key for problem in error.value.problems]
    assert keys == ["1.ant", "1.zebra", "1.kind", "1.about", "1.meaning",
                    "x", "x.kind", "x.about", "x.meaning"]  # fmt: skip


# ---------------------------------------------------------------------- what a connection hears


def test_a_connection_keeps_everything_it_heard() -> None:
    heard = Heard()
    heard.on_error(-1, 2104, "Market data farm connection is OK:usfarm")
    heard.on_error(5, 201, "no margin")
    heard.on_error(6, 201, "no shares")
    assert heard.errors[1:] == [(5, 201, "no margin"), (6, 201, "no shares")]
    assert heard.about(201) == "no shares"
    assert heard.about(202) == ""
    assert heard.fatal == ""


def test_only_what_is_about_the_connection_ends_it() -> None:
    for code, fatal in ((1300, True), (10197, True), (326, True), (321, False), (201, False)):
        heard = Heard()
        heard.on_error(7, code, "words")
        assert bool(heard.fatal) is fatal, code


def test_the_first_fatal_words_are_kept() -> None:
    heard = Heard()
    heard.on_error(-1, 326, "in use")
    heard.on_error(-1, 1300, "reset")
    assert heard.fatal.startswith("in use (code 326")
