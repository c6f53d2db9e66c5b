"""The documentation is made of the layouts: it has every message and every field."""

from __future__ import annotations

from rebalancer.simulators.ib_gateway.layouts import fields, names
from rebalancer.simulators.ib_gateway.layouts_document import document
from rebalancer.simulators.ib_gateway.layouts_in import REQUESTS
from rebalancer.simulators.ib_gateway.layouts_out import ANSWERS


def test_every_message_is_in_the_document_with_its_fields() -> None:
    text = document()
    for number, name in [(n, name) for n, (name, _parts) in REQUESTS.items()]:
        assert f"| {number} | {name} | " in text
    for name, (number, parts) in ANSWERS.items():
        assert f"| {number} | {name} | " in text
        section = text[text.index(f"| {number} | {name} | ") :]
        assert all(field in section for field in names(parts) if field != "version")


def test_what_only_some_versions_have_is_said() -> None:
    text = document()
    assert "| faProfile | text |  | to 176 |" in text
    assert "manualCancelOrderTime (from 169)" in text
    assert "suggestedSizeIncrement (number, from 163)" in text


def test_blocks_and_groups_say_when_they_are_there() -> None:
    text = document()
    assert "| *if secType is BAG:* |" in text
    assert "*if scalePriceIncrement is above 0:*" in text
    assert "*if condType is 5 (execution):*" in text
    assert "*number of conditions, then for each:*" in text


def test_tables_have_the_same_columns_in_every_row() -> None:
    width = 0
    for line in document().splitlines():
        columns = line.count("|") if line.startswith("|") else 0
        assert columns in (width, 0) or not width
        width = columns


def test_the_document_is_the_same_every_time() -> None:
    assert document() == document()


def test_a_word_that_describes_no_field_is_a_mistake() -> None:
    for word in ("a b:z", "x:n>176", "a-b"):
        try:
            fields(word)
        except ValueError as error:
            assert "is no field of a layout" in str(error)
        else:
            raise AssertionError(word)
