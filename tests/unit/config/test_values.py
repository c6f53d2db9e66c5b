"""What is plainly right needs no judge, and the judge would have agreed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import pytest
from annotated_types import Ge, Gt, Le, MinLen
from pydantic import ConfigDict, TypeAdapter, ValidationError

from rebalancer.config.values import Problems, nearest, plainly_right, read, show
from rebalancer.execution.parameters import Leftover, WorkParameters
from rebalancer.model.instrument import InstrumentId

HINTS: tuple[Any, ...] = (
    int, float, str, bool, Decimal, Leftover, InstrumentId, datetime,
    Annotated[int, Ge(1), Le(5)], Annotated[float, Gt(0)], Annotated[Decimal, Gt(0), Le(1)],
    Annotated[Decimal, Gt(0)] | None, bool | None, tuple[str, ...],
    Annotated[tuple[InstrumentId, ...], MinLen(1)], Mapping[str, Decimal],
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    0, 1, 5, 6, -1, True, False, 0.0, 0.5, 1.0, float("nan"), float("inf"), "", "a",
    Decimal(0), Decimal("0.5"), Decimal(1), Decimal(2), Decimal("NaN"), Decimal("Infinity"),
    None, Leftover.LEAVE, "leave", (), ("a",), ("a", 1), [], ["a"], {}, {"a": Decimal(1)},
    {"a": 1}, {"a": Decimal("NaN")}, datetime(2020, 3, 2, tzinfo=UTC),
)  # fmt: skip


def judged(hint: Any, value: Any) -> bool:
    rules = ConfigDict(allow_inf_nan=False, arbitrary_types_allowed=True)
    try:
        TypeAdapter(hint, config=rules).validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


def test_what_is_plainly_right_passes_the_judge_too() -> None:
    pairs = [(hint, value) for hint, value in product(HINTS, VALUES) if plainly_right(hint, value)]
    assert [(hint, value) for hint, value in pairs if not judged(hint, value)] == []
    # Each hint has a value that is plainly right: the shortcut is worth something.
    assert len({str(hint) for hint, _ in pairs}) == len(HINTS)


def test_an_ordinary_file_does_not_load_the_judge(tmp_path: Path) -> None:
    import subprocess
    import sys

    root = Path(__file__).resolve().parents[3]
    code = (
        "import sys; from pathlib import Path; from rebalancer.config import load; "
        "load(Path('portfolio.example.toml')); print('pydantic' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_missing_keys_are_told_and_defaults_are_filled_in() -> None:
    @dataclass(frozen=True)
    class Two:
        first: int
        second: int = 2

    problems = Problems("f.toml")
    assert read(Two, {}, "two", problems, {"two.first": "one to nine"}) == {"second": 2}
    assert [str(each) for each in problems.found] == ["f.toml: two.first: missing (one to nine)"]


def test_whole_numbers_become_what_is_wanted() -> None:
    problems = Problems("f.toml")
    values = read(WorkParameters, {"window_seconds": 60, "leftover": "cancel"}, "w", problems)
    assert type(values["window_seconds"]) is float
    assert values["leftover"] is Leftover.CANCEL
    assert not problems.found


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (True, "true"),
        ("a\nb", '"a\\nb"'),
        ([1, "x"], '[1, "x"]'),
        ({"password": "x", "a": 1}, "{password = ***, a = 1}"),
        ("x" * 200, '"' + "x" * 76 + "..."),
    ],
)
def test_a_value_is_shown_in_one_short_line(value: object, shown: str) -> None:
    assert show(value) == shown


def test_the_nearest_name_does_not_depend_on_order() -> None:
    names = ["max_order_weight", "max_order_notional", "drawdown"]
    hint = nearest("max_order_weigth", names)
    assert hint == nearest("max_order_weigth", reversed(names))
    assert hint.startswith("did you mean max_order_weight")
    assert nearest("zzz", names) == ""
