"""Plug-ins run apart: good ones are written, bad ones harm their own sleeve only."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import textwrap
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from rebalancer.errors import Interrupted
from rebalancer.generators.interpreter import child_environment
from rebalancer.generators.run import ChildGenerators
from rebalancer.model.flags import ErrorFlag, Severity, Step
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.panel import Panel, empty_panel
from rebalancer.model.signal_file import parse_signal
from rebalancer.model.signals import Coverage, TargetWeights
from rebalancer.model.universe import Sleeve

NOW = datetime(2020, 3, 2, 15, 5, tzinfo=UTC)
A, B, C = (InstrumentId(f"{name}.STK.USD@IB") for name in ("AAA", "BBB", "CCC"))
DAY = 86_400
GOOD = "return TargetWeights({name: 0.25 for name in context.universe})"

Write = Callable[..., str]


class PlainFiles:
    """Writes files, and remembers nothing."""

    def make_folder(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)

    def replace(self, path: Path, content: bytes) -> None:
        path.write_bytes(content)


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    (tmp_path / "strategies").mkdir()
    return tmp_path / "strategies"


@pytest.fixture
def write(plugins: Path) -> Write:
    """Write a plug-in whose `generate` has this body; return its name."""

    def write(name: str, body: str, top: str = "") -> str:
        head = "from rebalancer.model.signals import Context, Coverage, TargetWeights\n"
        inner = textwrap.indent(textwrap.dedent(body).strip("\n"), "    ")
        text = f"{head}{textwrap.dedent(top)}def generate(context):\n{inner}\n"
        (plugins / f"{name}.py").write_text(text, encoding="utf-8")
        return f"{name}.py"

    return write


@pytest.fixture
def generators(plugins: Path) -> ChildGenerators:
    return ChildGenerators(plugins.parent / "signals", plugins, PlainFiles())


def sleeve(name: str, generator: str = "", **more: object) -> Sleeve:
    settings: dict[str, object] = {"timeout_seconds": 60.0} | more
    return Sleeve(name, (A, B), Decimal("0.5"), generator=generator, **settings)  # type: ignore[arg-type]


def panel() -> Panel:
    """Return five closes of three instruments; the last is of tomorrow."""
    end = int(NOW.timestamp())
    times = np.array([end - 3 * DAY, end - 2 * DAY, end - DAY, end, end + DAY], np.int64)
    return Panel((A, B, C), times, np.arange(1.0, 16.0).reshape(5, 3))


def read(folder: Path, one: Sleeve) -> str:
    return (folder / "signals" / f"{one.name}.csv").read_text()


def only(flags: tuple[ErrorFlag, ...], code: str, name: str) -> str:
    """Return the message of the one flag there is, which must be this one."""
    (flag,) = flags
    assert (flag.code, flag.subject) == (code, f"sleeve:{name}")
    assert flag.severity is Severity.HOLD
    assert flag.step is Step.SIGNALS
    return flag.message


def test_an_answer_is_written_as_a_signal_file(
    generators: ChildGenerators, write: Write, tmp_path: Path
) -> None:
    core = sleeve("core", write("half", "return TargetWeights({'AAA.STK.USD@IB': 0.5})"))
    assert generators.write([core], panel(), NOW) == ()
    source = (tmp_path / "strategies" / "half.py").read_bytes()
    fingerprint = hashlib.sha256(source).hexdigest()[:12]
    # Valid for 93,600 s = 26 h; BBB, which the answer leaves out, is an explicit zero.
    end = f"weight,1,2020-03-02T15:05:00Z,2020-03-03T17:05:00Z,complete,half,{fingerprint}\n"
    assert read(tmp_path, core) == (
        "instrument,target,unit,leverage,as_of,valid_until,coverage,generator,fingerprint\n"
        f"AAA.STK.USD@IB,0.5,{end}BBB.STK.USD@IB,0,{end}"
    )
    assert parse_signal(read(tmp_path, core), core, NOW).targets == {A: Decimal("0.5"), B: 0}


def test_a_generator_says_how_long_its_answer_holds(
    generators: ChildGenerators, write: Write, tmp_path: Path
) -> None:
    name = write(
        "short",
        "return TargetWeights({context.universe[0]: -0.5}, 2.0, Coverage.PARTIAL, "
        "timedelta(hours=2))",
        top="from datetime import timedelta\n",
    )
    core = sleeve("core", name)
    assert generators.write([core], panel(), NOW) == ()
    said = parse_signal(read(tmp_path, core), core, NOW)
    assert said.valid_until == NOW + timedelta(hours=2)
    assert (said.leverage, said.coverage) == (Decimal(2), Coverage.PARTIAL)
    assert said.targets == {A: Decimal("-0.5")}


def test_a_generator_sees_its_own_instruments_up_to_now_read_only(
    generators: ChildGenerators, write: Write
) -> None:
    name = write(
        "look",
        """
        print(context.now.isoformat(), context.sleeve, context.universe)
        print(context.closes.values.tolist(), context.parameters["deep"]["x"])
        for array in (context.closes.values, context.closes.times):
            for change in (lambda: array.fill(0), lambda: array.setflags(write=True)):
                try:
                    change()
                except ValueError:
                    print("locked")
        try:
            context.parameters["deep"] = 1
        except TypeError:
            print("locked")
        return TargetWeights({"CASH": 1.0})
        """,
    )
    core = sleeve("core", name, history_bars=3, parameters={"deep": {"x": Decimal("0.5")}})
    answer, output = generators.run_one(core, panel(), NOW)
    assert answer == TargetWeights({"CASH": 1.0})
    assert output.splitlines() == [
        "2020-03-02T15:05:00+00:00 core ('AAA.STK.USD@IB', 'BBB.STK.USD@IB')",
        # Rows 2 to 4 of 1..15 in threes: the first is too old, the last not closed yet.
        "[[4.0, 5.0], [7.0, 8.0], [10.0, 11.0]] 0.5",
        *["locked"] * 5,
    ]


def test_bars_of_other_calendars_are_left_out(generators: ChildGenerators, write: Write) -> None:
    name = write("count", f"print(context.closes.values.tolist())\n{GOOD}")
    values = np.array([[1.0, np.nan], [np.nan, 5.0], [2.0, 6.0]])
    end = int(NOW.timestamp())
    both = Panel((A, C), np.array([end - 3, end - 2, end - 1], np.int64), values)
    assert generators.run_one(sleeve("core", name), both, NOW)[1] == "[[1.0, nan], [2.0, nan]]\n"


def test_no_history_is_an_empty_panel(generators: ChildGenerators, write: Write) -> None:
    name = write("count", f"print(context.closes.values.shape)\n{GOOD}")
    assert generators.run_one(sleeve("core", name), empty_panel([A]), NOW)[1] == "(0, 2)\n"


def test_a_large_history_travels(generators: ChildGenerators, write: Write) -> None:
    name = write("sum", f"print(context.closes.values.sum(), flush=True)\n{GOOD}")
    bars = 10_000
    times = np.arange(bars, dtype=np.int64)
    large = Panel((A, B), times, np.ones((bars, 2)))
    core = sleeve("core", name, history_bars=bars)
    assert generators.run_one(core, large, NOW)[1] == "20000.0\n"


def test_pandas_is_loaded_for_those_who_ask_only(generators: ChildGenerators, write: Write) -> None:
    plain = write("plain", f"import sys\nprint('pandas' in sys.modules)\n{GOOD}")
    asks = write("asks", f"print(context.closes.frame().iloc[-1].tolist())\n{GOOD}")
    assert generators.run_one(sleeve("core", plain), panel(), NOW)[1] == "False\n"
    assert generators.run_one(sleeve("core", asks), panel(), NOW)[1] == "[10.0, 11.0]\n"


FAILURES = {
    "raises": (
        "x = 1\nraise ValueError('no data\\nat all')",
        "line 4 in generate: ValueError: no data at all",
    ),
    "divides": ("return 1 / 0", "line 3 in generate: ZeroDivisionError: division by zero"),
    "leaves": ("import sys\nsys.exit(3)", "line 4 in generate: SystemExit: 3"),
    "is interrupted": ("raise KeyboardInterrupt", "line 3 in generate: KeyboardInterrupt"),
    "ends the process": (
        "import os\nprint('bye')\nos._exit(7)",
        "ended by itself with code 7; it last printed: bye",
    ),
    "is killed": ("import os\nos.kill(os.getpid(), 9)", "killed by SIGKILL"),
    "crashes": ("import os\nos.abort()", "killed by SIGABRT"),
    "does not parse": ("return (", "line 3: SyntaxError"),
    "raises a riddle": (
        "class Riddle(Exception):\n    def __str__(self):\n        raise self\nraise Riddle",
        "line 6 in generate: Riddle",
    ),
}  # fmt: skip
RUBBISH = {
    "nothing": ("pass", "generate returned a NoneType, not TargetWeights"),
    "a dict": ("return {'AAA.STK.USD@IB': 1.0}", "generate returned a dict, not TargetWeights"),
    "a list of weights": ("return TargetWeights([0.5, 0.5])", "weights is a list"),
    "pandas weights": (
        "return TargetWeights(context.closes.frame().iloc[-1])", "a Series, not a mapping",
    ),
    "no weights": ("return TargetWeights({})", 'to be flat, answer {"CASH": 1.0}'),
    "NaN": ("return TargetWeights({'AAA.STK.USD@IB': float('nan')})", "AAA.STK.USD@IB is nan"),
    "infinity": ("return TargetWeights({'AAA.STK.USD@IB': float('inf')})", "not a finite number"),
    "a weight of None": ("return TargetWeights({'AAA.STK.USD@IB': None})", "None, not a number"),
    "a weight of True": ("return TargetWeights({'AAA.STK.USD@IB': True})", "True, not a number"),
    "a weight in words": ("return TargetWeights({'AAA.STK.USD@IB': '0.5'})", "not a number"),
    "a key that is no name": ("return TargetWeights({1: 0.5})", "key that is not an instrument: 1"),
    "an unknown instrument": ("return TargetWeights({'ZZZ': 0.5})", "ZZZ is not in the universe"),
    "a stranger's instrument": (
        "return TargetWeights({'CCC.STK.USD@IB': 0.5})", "CCC.STK.USD@IB is not in the universe",
    ),
    "too much": (
        "return TargetWeights({'AAA.STK.USD@IB': 1.5, 'BBB.STK.USD@IB': -0.75})",
        "add up to 2.25 (without signs) x leverage 1 = 2.25, over the sleeve's leverage_max 2",
    ),
    "leverage too high": (
        "return TargetWeights({'AAA.STK.USD@IB': 1.0}, leverage=2.01)", "= 2.01, over",
    ),
    "leverage zero": (
        "return TargetWeights({'AAA.STK.USD@IB': 1.0}, leverage=0)", "leverage 0 is not positive",
    ),
    "an odd coverage": (
        "return TargetWeights({'AAA.STK.USD@IB': 1.0}, coverage='half')", "coverage is 'half'",
    ),
    "CASH and more": (
        "return TargetWeights({'AAA.STK.USD@IB': 0.5, 'CASH': 0.5})", "CASH stands alone",
    ),
    "already over": (
        "from datetime import timedelta as t\n"
        "return TargetWeights({'CASH': 1}, valid_for=t(hours=-1))", "is not after as_of",
    ),
    "numbers for times": ("return TargetWeights({'CASH': 1}, valid_for=3600)", "not a timedelta"),
    "no end of it": (
        "return TargetWeights({'A' * 6_000_000: 0.5})", "longer than 4194304 bytes",
    ),
}  # fmt: skip


def after(body: str, name: str, write: Write, generators: ChildGenerators, root: Path) -> str:
    """Run a bad plug-in between two good ones; return the flag's message."""
    bad = sleeve("bad", write("bad", body), leverage_max=Decimal(2))
    good = [sleeve("before", write("good", GOOD)), sleeve("after", "good.py")]
    old = root / "signals" / "bad.csv"
    old.parent.mkdir()
    old.write_text("of yesterday")
    flags = generators.write([good[0], bad, good[1]], panel(), NOW)
    for one in good:
        assert parse_signal(read(root, one), one, NOW).targets == dict.fromkeys(
            (A, B), Decimal("0.25")
        )
    assert old.read_text() == "of yesterday"
    message = only(flags, name, "bad")
    assert message.startswith("sleeve bad: bad.py: ")
    assert message.endswith("its signal file was not written")
    return message


@pytest.mark.parametrize("case", FAILURES)
def test_a_generator_that_fails_harms_its_own_sleeve_only(
    case: str, write: Write, generators: ChildGenerators, tmp_path: Path
) -> None:
    body, expected = FAILURES[case]
    assert expected in after(body, "generator-failed", write, generators, tmp_path)


@pytest.mark.parametrize("case", RUBBISH)
def test_rubbish_is_never_written(
    case: str, write: Write, generators: ChildGenerators, tmp_path: Path
) -> None:
    body, expected = RUBBISH[case]
    assert expected in after(body, "generator-rubbish", write, generators, tmp_path)


@pytest.mark.parametrize("body", ["while True: pass", "import time\ntime.sleep(1000)"])
def test_a_hang_is_ended_and_says_where(
    body: str, write: Write, generators: ChildGenerators, tmp_path: Path
) -> None:
    stuck = sleeve("stuck", write("stuck", f"print('begin')\n{body}"), timeout_seconds=1.5)
    good = sleeve("good", write("good", GOOD))
    flags = generators.write([stuck, good], panel(), NOW)
    message = only(flags, "generator-hung", "stuck")
    line = 3 + body.count("\n") + 1
    assert f"stuck.py: line {line} in generate: no answer after 1.5 s" in message
    assert not (tmp_path / "signals" / "stuck.csv").exists()
    assert "begin" in (tmp_path / "signals" / "stuck.log").read_text()
    assert parse_signal(read(tmp_path, good), good, NOW).targets


def test_what_a_killed_generator_started_is_killed_too(
    write: Write, generators: ChildGenerators, tmp_path: Path
) -> None:
    body = f"""
    import os, time
    if os.fork() == 0:
        while True:
            time.sleep(0.01)
            open({str(tmp_path / "alive")!r}, "w").close()
    time.sleep(1000)
    """
    stuck = sleeve("stuck", write("stuck", body), timeout_seconds=1.5)
    only(generators.write([stuck], panel(), NOW), "generator-hung", "stuck")
    (tmp_path / "alive").unlink(missing_ok=True)
    generators.write([sleeve("good", write("good", GOOD))], panel(), NOW)  # takes a while
    assert not (tmp_path / "alive").exists()


def test_an_interrupted_run_leaves_no_child(write: Write, generators: ChildGenerators) -> None:
    def interrupt(*_: object) -> None:
        if generators._child is None:  # not started yet: try again
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            return
        pids.append(generators._child._process.pid)
        raise Interrupted("asked to end")

    pids: list[int] = []
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(Interrupted):
            generators.write([sleeve("stuck", write("stuck", "while True: pass"))], panel(), NOW)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_a_copy_of_the_child_does_not_answer(
    write: Write, generators: ChildGenerators, tmp_path: Path
) -> None:
    forks = sleeve("forks", write("forks", f"import os\nos.fork()\n{GOOD}"))
    good = sleeve("good", write("good", GOOD))
    assert generators.write([forks, good], panel(), NOW) == ()
    assert read(tmp_path, good)


def test_what_a_plug_in_prints_is_kept_and_is_no_answer(
    write: Write, generators: ChildGenerators, tmp_path: Path
) -> None:
    body = f"""
    import os, sys
    print('{{"answer": {{}}}}')
    print("to stderr", file=sys.stderr)
    os.system("echo from a program")
    {GOOD}
    """
    loud = sleeve("loud", write("loud", body))
    assert generators.write([loud], panel(), NOW) == ()
    log = (tmp_path / "signals" / "loud.log").read_text()
    assert log == '{"answer": {}}\nto stderr\nfrom a program\n'


def test_of_much_output_the_end_is_kept(write: Write, generators: ChildGenerators) -> None:
    body = f"for n in range(200_000): print(n)\n{GOOD}"
    answer, output = generators.run_one(sleeve("loud", write("loud", body)), panel(), NOW)
    assert isinstance(answer, TargetWeights)
    assert len(output) == 65_536
    assert output.endswith("\n199998\n199999\n")


def test_one_child_serves_all_sleeves(write: Write, generators: ChildGenerators) -> None:
    log = generators._folder
    name = write("who", f"import os\nprint(os.getpid(), os.getcwd())\n{GOOD}")
    generators.write([sleeve("one", name), sleeve("two", name)], panel(), NOW)
    one, two = ((log / f"{each}.log").read_text() for each in ("one", "two"))
    assert one == two
    pid, folder = one.split()
    assert int(pid) != os.getpid()
    assert Path(folder) == log.parent
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_no_secret_reaches_the_child(
    write: Write, generators: ChildGenerators, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REBALANCER_SMTP_PASSWORD", "swordfish")
    name = write("env", f"import os\nprint(sorted(os.environ.items()))\n{GOOD}")
    output = generators.run_one(sleeve("env", name), panel(), NOW)[1]
    assert "PATH" in output
    assert "swordfish" not in output


def test_only_harmless_variables_are_handed_down() -> None:
    given = {
        "PATH": "/bin",
        "HOME": "/root",
        "TOKEN": "x",
        "PYTHONPATH": "/evil",
        "TZ": "Asia/Tokyo",
    }
    child = child_environment(given)
    assert (child["PATH"], child["HOME"], child["TZ"]) == ("/bin", "/root", "UTC")
    assert not {"TOKEN", "PYTHONPATH"} & set(child)


def test_a_plug_in_named_like_a_library_shadows_nothing(
    write: Write, generators: ChildGenerators
) -> None:
    write("random", "raise ValueError('shadowed')")
    name = write("json", f"import json, random\nprint(json.dumps(1), random.__file__)\n{GOOD}")
    answer, output = generators.run_one(sleeve("core", name), panel(), NOW)
    assert isinstance(answer, TargetWeights)
    assert output.startswith("1 ")
    assert "strategies" not in output


def test_a_plug_in_leaves_no_cache_behind(
    write: Write, generators: ChildGenerators, plugins: Path
) -> None:
    generators.run_one(sleeve("core", write("good", GOOD)), panel(), NOW)
    assert [path.name for path in plugins.iterdir()] == ["good.py"]


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("#!/bin/sh\necho no numpy here\nexit 3\n", "ended by itself with code 3: no numpy here"),
        (None, "No such file or directory"),
    ],
)
def test_a_child_that_does_not_start_is_flagged(
    write: Write,
    generators: ChildGenerators,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    program: str | None,
    expected: str,
) -> None:
    python = tmp_path / "python"
    if program is not None:
        python.write_text(program)
        python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    flags = generators.write([sleeve("core", write("good", GOOD))], panel(), NOW)
    message = only(flags, "generator-failed", "core")
    assert "the child interpreter did not start: " in message
    assert expected in message


def test_a_missing_plug_in_is_named(generators: ChildGenerators, plugins: Path) -> None:
    flags = generators.write([sleeve("core", "none.py")], panel(), NOW)
    message = only(flags, "generator-failed", "core")
    assert f"there is no file {plugins / 'none.py'}" in message


def test_a_plug_in_without_generate_is_rubbish(generators: ChildGenerators, plugins: Path) -> None:
    (plugins / "other.py").write_text("def signal(context): ...\n")
    flags = generators.write([sleeve("core", "other.py")], panel(), NOW)
    assert "no function generate(context)" in only(flags, "generator-rubbish", "core")


def test_a_sleeve_without_generator_is_left_alone(
    generators: ChildGenerators, tmp_path: Path
) -> None:
    assert generators.write([sleeve("external")], panel(), NOW) == ()
    assert list((tmp_path / "signals").iterdir()) == []


def test_a_sleeve_name_cannot_leave_the_folder(generators: ChildGenerators, write: Write) -> None:
    (flag,) = generators.write([sleeve("../out", write("good", GOOD))], panel(), NOW)
    assert "a name has letters" in flag.message


def test_run_one_writes_nothing(generators: ChildGenerators, write: Write, tmp_path: Path) -> None:
    answer, output = generators.run_one(sleeve("core", write("good", GOOD)), panel(), NOW)
    assert answer == TargetWeights({A: 0.25, B: 0.25})
    assert output == ""
    assert not (tmp_path / "signals").exists()


def test_the_same_question_has_the_same_answer(
    generators: ChildGenerators, write: Write, tmp_path: Path
) -> None:
    body = "return TargetWeights({n: 1 / 6 for n in set(context.universe)})"
    core = sleeve("core", write("sets", body))
    seen = set()
    for _ in range(3):
        generators.write([core], panel(), NOW)
        seen.add(read(tmp_path, core))
    assert len(seen) == 1
    assert "BBB.STK.USD@IB,0.166666666667," in seen.pop()
