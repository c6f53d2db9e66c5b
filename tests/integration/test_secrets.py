"""Secrets that come in by every way, runs that fail in every way, and what all of them leave.

Each test plants secrets with a mark in them and looks for the mark, plain, in base64 and in
hexadecimal, in whatever is there afterwards.
"""

from __future__ import annotations

import json
import os
import resource
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult

from rebalancer.cli import inspection, main
from rebalancer.cli.crash import explain
from rebalancer.cli.unrecorded import failure_mail
from rebalancer.clock import SystemClock
from rebalancer.config import load
from rebalancer.errors import ConfigError, ConnectError
from rebalancer.model.secret import Secret, masked
from rebalancer.store.atomic import Files
from rebalancer.store.packing import pack_run
from tests.exchanges import write_coins
from tests.integration.canaries import (
    MARK,
    WORDS,
    Ended,
    command,
    leaks,
    leaks_below,
    ping_url,
)
from tests.integration.test_mail import Mailbox, authority, free_port, mail_server
from tests.portfolios import World, make_world, write_portfolio

pytestmark = [
    pytest.mark.smtp,
    pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning"),
    pytest.mark.filterwarnings("ignore:Session.login_data is deprecated:DeprecationWarning"),
]

SYMBOLS = ("AAPL", "JNJ")
DAYS = ("2020-03-02T15:05Z", "2020-03-02T18:05Z", "2020-03-02T21:35Z")
ENVIRONMENT = {f"REBALANCER_{name.upper()}": text for name, text in WORDS.items()}
HAS_PROC = Path("/proc/self/environ").exists()


class Letters(Mailbox):
    """A mailbox that takes one password, or none at all."""

    def __init__(self, *, good: bool, told: str = "") -> None:
        super().__init__()
        self.good, self.told = good, told

    def authenticate(
        self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any
    ) -> AuthResult:
        self.passwords.append(data.password)
        good = self.good and data.password.decode() == WORDS["smtp_password"]
        return AuthResult(success=good, handled=False)


class Echo(BaseHTTPRequestHandler):
    """A server that refuses everything and says back all that it was told."""

    protocol_version = "HTTP/1.1"
    status, page = 400, False

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode("utf-8", "replace")
        heard = f"{self.command} {self.path} {dict(self.headers)} {body}"
        text = heard if self.page else json.dumps({"code": -1102, "msg": heard})
        content = text.encode()
        self.send_response(self.status)
        self.send_header("Content-Type", "text/html" if self.page else "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - the library's names

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def echo(status: int = 400, *, page: bool = False) -> Iterator[int]:
    """Run such a server; give its port."""
    kind = type("Kind", (Echo,), {"status": status, "page": page})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    worker = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    worker.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        worker.join()
        server.server_close()


def planted(folder: Path, ways: str, ping: int = 1) -> dict[str, str]:
    """Plant the secrets; return what the environment needs for it."""
    words = WORDS | {"ping_url": ping_url(ping)}
    file = folder / "secrets.toml"
    lines = [f"{name} = {json.dumps(text)}" for name, text in words.items()]
    if ways == "environment":
        return {f"REBALANCER_{name.upper()}": text for name, text in words.items()}
    if ways == "environment of the portfolio":
        return {f"REBALANCER_DEMO_{name.upper()}": text for name, text in words.items()}
    table = ["[demo]"] if ways == "table of the file" else []
    file.write_text("\n".join([*table, *lines]) + "\n")
    file.chmod(0o600)
    return {}


def mail(where: Any) -> str:
    return f"""
[mail]
host = "{where.host}"
port = {where.port}
user = "bot"
sender = "bot@example.com"
recipients = ["ops@example.com"]
cafile = "{where.cafile}"

[database]
url = "postgresql://me@127.0.0.1:{free_port()}/books"
"""


def clean(ended: Sequence[Ended], folder: Path) -> None:
    """Hold processes and a folder to what secrets need, but for the file they stand in."""
    found = [leak for each in ended for leak in each.leaks()]
    found += leaks_below(folder, but=[folder / "secrets.toml"])
    assert not found, "\n".join(found)


# ------------------------------------------------------------------ the nose itself


@pytest.mark.parametrize("before", ["", "x", "xy", "bot\0"])
def test_the_nose_finds_every_spelling(before: str, tmp_path: Path) -> None:
    import base64
    import gzip

    text = f"{before}{MARK}!".encode()
    for spelt in (text, base64.b64encode(text), text.hex().encode(), gzip.compress(text)):
        assert leaks(spelt, "here")
    (tmp_path / "record.json").write_bytes(b"{}" + text)
    assert leaks_below(tmp_path)
    assert not leaks("nothing", "here")


# ------------------------------------------------------------------ runs that fail


@pytest.mark.parametrize("ways", ["environment of the portfolio", "table of the file"])
def test_a_day_of_runs_with_everything_broken_shows_no_secret(tmp_path: Path, ways: str) -> None:
    """Mail server refuses the password, database is down, the ping service echoes and fails."""
    box = Letters(good=False)
    with mail_server(box, authority(tmp_path)) as where, echo(500, page=True) as port:
        world = make_world(tmp_path, symbols=SYMBOLS, extra=mail(where))
        environment = planted(tmp_path, ways, port)
        world.wants({"AAPL": "0.5", "JNJ": "0.4"}, world.config().paper.start)
        ended = [
            command(tmp_path, "run", "-c", "demo.toml", "--at", at, environment=environment)
            for at in DAYS
        ]
    assert [each.code for each in ended] == [0, 0, 0]
    assert "ping: the service answered 500" in ended[0].err
    assert WORDS["smtp_password"].encode() in box.passwords, "it was never tried"
    noted = "".join(path.read_text() for path in world.state.rglob("journal.jsonl"))
    assert "mail-late" in noted and "database-late" in noted
    for slot in [folder for folder in (world.state / "runs").iterdir() if folder.is_dir()]:
        pack_run(Files(), slot)
    assert list((world.state / "runs" / "packed").iterdir())
    clean(ended, tmp_path)


def test_the_other_commands_show_no_secret(tmp_path: Path) -> None:
    box = Letters(good=False)
    with mail_server(box, authority(tmp_path)) as where:
        world = make_world(tmp_path, symbols=SYMBOLS, extra=mail(where))
        environment = planted(tmp_path, "file")
        world.wants({"AAPL": "0.5", "JNJ": "0.4"}, world.config().paper.start)
        lines = [
            f"run -c demo.toml --at {DAYS[0]} --json",
            "status -c demo.toml --json",
            "status --all .",
            "check demo.toml --connect --mail",
            "orders -c demo.toml",
            "halt -c demo.toml",
            f"run -c demo.toml --at {DAYS[1]}",
            "watchdog -c demo.toml --older-than 1",
            "flatten -c demo.toml",
            "resume -c demo.toml",
            "signals hand -c demo.toml",
            "run -c demo.toml --dry-run --debug",
        ]
        ended = [command(tmp_path, *line.split(), environment=environment) for line in lines]
    codes = dict(zip(lines, (each.code for each in ended), strict=True))
    assert 70 not in codes.values(), codes
    assert len(box.passwords) > 2
    clean(ended, tmp_path)


def test_mails_that_arrive_have_no_secret(tmp_path: Path) -> None:
    box = Letters(good=True)
    with mail_server(box, authority(tmp_path)) as where:
        world = make_world(tmp_path, symbols=SYMBOLS, extra=mail(where))
        environment = planted(tmp_path, "environment")
        world.wants({"AAPL": "0.5", "JNJ": "0.4"}, world.config().paper.start)
        at = world.config().paper.start
        late = command(tmp_path, "run", "-c", "demo.toml", "--at", DAYS[2], environment=environment)
        world.wants({"AAPL": "nan"}, at)
        bad = command(
            tmp_path, "run", "-c", "demo.toml", "--at", "2020-03-03T15:05Z", environment=environment
        )
    assert len(box.envelopes) >= 2
    assert "signal-invalid" in {flag.code for flag in world.last().flags}
    found = [leak for each in box.envelopes for leak in leaks(each.content, "mail")]
    assert not found, "\n".join(found)
    clean([late, bad], tmp_path)


# ------------------------------------------------------------------ bugs

OUTSIDE = """
import rebalancer.cli.run as place
def broken(config, *_, **__):
    password = config.passwords.smtp.reveal()
    link = config.passwords.ping.reveal()
    raise ValueError(f"cannot use {password} of {link}")
place.run_hour = broken
"""
INSIDE = """
import rebalancer.hourly as place
def broken(*_, **__):
    from pathlib import Path
    from rebalancer.config import load as read
    words = read(Path("demo.toml")).passwords
    password, key = words.database.reveal(), words.binance_secret.reveal()
    raise KeyError(password, key)
place.recover = broken
"""
CHAINED = """
import rebalancer.cli.run as place
def broken(config, *_, **__):
    try:
        int(config.passwords.database.reveal())
    except ValueError as error:
        raise RuntimeError("no number") from error
place.run_hour = broken
"""
SILENT = """
import rebalancer.cli.run as place, warnings, logging
def broken(config, *_, **__):
    password = config.passwords.database.reveal()
    warnings.warn(password)
    logging.getLogger("somebody").error("it is %s", password)
    class Gone:
        def __del__(self):
            raise ValueError(password)
    Gone()
    import threading
    def work():
        raise ValueError(password)
    worker = threading.Thread(target=work)
    worker.start()
    worker.join()
    return 1 / 0
place.run_hour = broken
"""


@pytest.mark.parametrize("debug", [(), ("--debug",)], ids=["", "debug"])
@pytest.mark.parametrize("bug", [OUTSIDE, INSIDE, CHAINED, SILENT])
def test_a_bug_that_says_a_secret_aloud_is_not_heard(
    tmp_path: Path, bug: str, debug: tuple[str, ...]
) -> None:
    world = make_world(tmp_path, symbols=SYMBOLS)
    environment = planted(tmp_path, "file")
    world.wants({"AAPL": "0.5", "JNJ": "0.4"}, world.config().paper.start)
    words = ("run", "-c", "demo.toml", "--at", DAYS[0], *debug)
    ended = command(tmp_path, *words, environment=environment, patch=bug)
    assert ended.code == 70, ended
    told = ended.err + "".join(path.read_text() for path in tmp_path.rglob("*.traceback.log"))
    if bug == INSIDE:
        told += "".join(path.read_text() for path in tmp_path.rglob("host.json"))
    assert "Traceback" in told
    if bug != SILENT:
        assert "***" in told
    clean([ended], tmp_path)


# ------------------------------------------------------------------ children


WATCHED = """
from datetime import timedelta
from pathlib import Path
import os, sys, time

from rebalancer.model.signals import TargetWeights

def generate(context):
    Path("here").touch()
    while Path("here").exists():
        time.sleep(0.02)
    print(sorted(os.environ.items()), sys.argv)
    {end}
"""
GOOD = "return TargetWeights({name: 0.2 for name in context.universe})"
CRASH = "raise RuntimeError(str(sorted(os.environ.items())))"


@pytest.mark.skipif(not HAS_PROC, reason="needs /proc")
@pytest.mark.parametrize("end", [GOOD, CRASH], ids=["good", "crash"])
@pytest.mark.parametrize("venue", ["ib", "binance"])
def test_children_have_no_secret_in_their_surroundings(
    tmp_path: Path, venue: str, end: str
) -> None:
    (tmp_path / "signals").mkdir()
    (tmp_path / "signals" / "watched.py").write_text(WATCHED.replace("{end}", end))
    line = 'generator = "signals/watched.py"\nhistory_bars = 2'
    if venue == "ib":
        make_world(tmp_path, symbols=SYMBOLS, generator=line, transport="socket")
        words = ("run", "-c", "demo.toml", "--at", DAYS[0])
    else:
        path = write_coins(tmp_path, generator=line)
        path.write_text(path.read_text().replace('transport = "memory"', 'transport = "socket"'))
        words = ("run", "-c", "coins.toml", "--at", "2025-03-20T15:05Z")
    environment = planted(tmp_path, "environment")
    ended = command(tmp_path, *words, environment=environment, watch=tmp_path / "here")
    # The simulated venue's process and the generators'.
    assert len(ended.children) >= 4, ended
    assert any("generators.child" in text for text in ended.children.values())
    assert ended.code == 0, ended.err
    clean([ended], tmp_path)


# ------------------------------------------------------------------ an exchange that talks


LIVE = """
[portfolio]
name = "demo"
mode = "live"
base_currency = "USDT"
calendar = "24/7"

[account]
venue = "binance"
id = "700700700"
armed = "700700700"
net_liquidation_min = 100
net_liquidation_max = 100000

[[sleeve]]
name = "hand"
share = 1
universe = ["BTCUSDT.PERP@BINANCE"]

[binance]
connect_attempts = 1
request_seconds = 2
"""
ELSEWHERE = """
import rebalancer.brokers.binance.passage as place
from contextlib import contextmanager
def elsewhere(product, *, demo):
    @contextmanager
    def passage(page):
        yield place.LivePassage({url!r})
    return passage
place.at_exchange = elsewhere
"""


@pytest.mark.parametrize("who", ["echo", "page", "nobody", "unknown host", "listing"])
def test_an_exchange_that_says_back_what_it_heard_tells_nobody(tmp_path: Path, who: str) -> None:
    (tmp_path / "demo.toml").write_text(LIVE)
    (tmp_path / "state").mkdir()
    environment = planted(tmp_path, "file")
    with echo(400 if who == "echo" else 503, page=who == "page") as port:
        url = {
            "nobody": f"http://127.0.0.1:{free_port()}",
            "unknown host": "https://no-such-host.invalid",
        }.get(who, f"http://127.0.0.1:{port}")
        patch = ELSEWHERE.format(url=url) + (ANSWERS if who == "listing" else "")
        ended = [
            command(tmp_path, *words, environment=environment, patch=patch)
            for words in (("check", "demo.toml", "--connect"), ("run", "-c", "demo.toml"))
        ]
    assert ended[1].code in (3, 4), ended[1]
    clean(ended, tmp_path)


ANSWERS = """
# The public questions are answered, so that the signed ones are asked, and echoed.
import rebalancer.brokers.binance.line as asked
plain = asked.BinanceLine.get
def get(self, path, **words):
    if path.endswith("/time"):
        return {"serverTime": int(self.passage.now().timestamp() * 1000)}
    if path.endswith("/exchangeInfo"):
        return {"symbols": [], "rateLimits": []}
    return plain(self, path, **words)
asked.BinanceLine.get = get
"""


@pytest.mark.parametrize("text", [" key", "key\n", "ke\ty", "k€y", "key\x00", "key\r\nX-Evil: 1"])
@pytest.mark.parametrize("name", ["binance_api_key", "binance_api_secret"])
def test_a_key_that_no_exchange_gave_is_refused_and_not_shown(
    tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / "demo.toml").write_text(LIVE)
    word = f"{MARK}{text}{MARK}"
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "demo.toml", {f"REBALANCER_{name.upper()}": word})
    (problem,) = caught.value.problems
    assert name in str(problem)
    assert not leaks(str(problem), "problem")


def test_a_line_end_behind_a_secret_is_not_a_part_of_it(tmp_path: Path) -> None:
    """`export X="$(cat file)"` loses it, Docker's and systemd's files do not."""
    (tmp_path / "demo.toml").write_text(LIVE)
    environment = {
        "REBALANCER_BINANCE_API_KEY": "abcdef\n",
        "REBALANCER_SMTP_PASSWORD": "two words ",
    }
    words = load(tmp_path / "demo.toml", environment).passwords
    assert words.binance_key == Secret("abcdef")
    assert words.smtp == Secret("two words ")


# ------------------------------------------------------------------ mistakes of the owner


@pytest.mark.parametrize(
    "line",
    [
        '[account]\nbinance_api_secret = "{}"',
        '[account]\nkey = "{}"',
        '[mail]\nhost = "x"\nsender = "a@b.c"\nrecipients = ["a@b.c"]\npassword = "{}"',
        '[mail]\nping_url = "https://hc.example/{}"',
        '[ping]\nurl = "https://hc.example/{}"',
        'ping = "https://hc.example/{}"',
        '[database]\nurl = "postgresql://me:{}@host/db"',
        '[database]\nurl = "postgresql://host/db?user=me&password={}"',
        '[database]\nurl = "mysql://me:{}@host/db"',
        '[database]\nurl = "postgresql://me:{}@[host/db"',
        '[database]\nurl = "me:{}@host"',
        '[database]\nurl = ["postgresql://me:{}@host/db"]',
        '[database]\nconnection = "postgresql://me:{}@host/db"',
        '[binance]\napi = {{ key = "{}" }}',
        'token = "{}"',
        'token = "{}',
        '[mail]\npassword = "{}\\q"',
    ],
)
def test_a_secret_in_the_wrong_file_is_told_without_being_shown(
    tmp_path: Path,
    line: str,
    capfd: pytest.CaptureFixture[str],
    quick: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "demo.toml"
    kept = LIVE
    name = line.partition("]")[0].strip("[") if line.startswith("[") else ""
    if f"[{name}]" in LIVE and name:
        kept = LIVE.replace(f"[{name}]", line.format(MARK), 1)
    elif name:
        kept = LIVE + line.format(MARK)
    else:
        kept = line.format(MARK) + "\n" + LIVE
    path.write_text(kept)
    assert main(["check", "demo.toml"]) == 2
    assert main(["run", "-c", "demo.toml"]) == 2
    main(["watchdog", "-c", "demo.toml"])
    told = capfd.readouterr()
    assert "demo.toml" in told.out
    assert not leaks(told.out + told.err, "told")
    path.unlink()
    clean([], tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "smtp_password = {}",
        'smtp_password = "{}',
        'smtp_pasword = "{}"',
        'smtp_password = ["{}"]',
        '[demo]\npassword = "{}"',
        'demo = "{}"',
        "[demo]\nsmtp_password = 5{}",
        'ping_url = "ftp://{}/"',
        'ping_url = "https://[{}"',
    ],
)
def test_a_mistake_in_the_secrets_file_is_told_without_being_shown(
    tmp_path: Path, text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "demo.toml").write_text(LIVE)
    file = tmp_path / "secrets.toml"
    file.write_text(text.format(MARK))
    file.chmod(0o600)
    assert main(["check", str(tmp_path / "demo.toml")]) == 2
    told = capfd.readouterr()
    assert "secrets.toml" in told.out
    assert not leaks(told.out + told.err, "told")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o622, 0o601])
def test_a_secrets_file_that_others_can_touch_is_refused(tmp_path: Path, mode: int) -> None:
    world = make_world(tmp_path, symbols=SYMBOLS)
    planted(tmp_path, "file")
    (tmp_path / "secrets.toml").chmod(mode)
    with pytest.raises(ConfigError, match="others can read or change it") as caught:
        load(world.path, {})
    assert f"chmod 600 {tmp_path / 'secrets.toml'}" in str(caught.value.problems[0])
    (tmp_path / "secrets.toml").chmod(0o600)
    assert load(world.path, {}).passwords.smtp == Secret(WORDS["smtp_password"])


# ------------------------------------------------------------------ masks


def test_words_are_masked_however_a_secret_is_quoted() -> None:
    import base64
    from urllib.parse import quote, quote_plus

    text = "pä ss/w%rd+=\"'\\\n"
    Secret(text)
    for spelt in (
        text, repr(text), json.dumps(text), quote(text), quote(text, safe=""), quote_plus(text),
        base64.b64encode(text.encode()).decode(), text.encode().hex(),
        base64.b64encode(b"\0bot\0" + text.encode()).decode(), repr(text.encode()),
    ):  # fmt: skip
        said = masked(f"before {spelt} after")
        assert "***" in said
        assert said.startswith("before ") and said.endswith(" after")
        assert "w%rd" not in said and "w%25rd" not in said
    assert masked("nothing of it") == "nothing of it"


BLANKS = "blanks  in \t it: 7h3 k3y"
COLLAPSED = "blanks in it: 7h3 k3y"


def test_a_crash_masks_before_it_collapses_blanks(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    Secret(BLANKS)
    assert explain("who", ValueError(f"cannot\nuse  {BLANKS}"), None) == 70
    said = capsys.readouterr().err
    assert "ValueError: cannot use ***\n" in said
    assert COLLAPSED not in said


def test_the_mail_of_a_run_without_a_record_masks_before_it_collapses_blanks(
    tmp_path: Path,
) -> None:
    Secret(BLANKS)
    config = load(write_portfolio(tmp_path), {})
    mail = failure_mail(config, ValueError(f"cannot\nuse  {BLANKS}"), SystemClock().now())
    assert "ValueError: cannot use ***." in mail.text
    assert COLLAPSED not in mail.text + mail.html


def test_the_command_check_masks_before_it_collapses_blanks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuses(*_: object) -> None:
        raise ConnectError(f"the server said:\n  {BLANKS}")

    Secret(BLANKS)
    monkeypatch.setattr(inspection, "prove_mail", refuses)
    assert main(["check", str(write_portfolio(tmp_path)), "--mail"]) == 4
    said = capsys.readouterr().out
    assert "the server said: ***. " in said
    assert COLLAPSED not in said


def test_blanks_that_a_stranger_collapsed_are_masked_too() -> None:
    Secret(BLANKS)
    assert masked(f"he says {COLLAPSED}!") == "he says ***!"


def test_a_command_leaves_no_core_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the memory of a process that read passwords they stand plain."""
    asked: list[tuple[int, tuple[int, int]]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda *words: asked.append(words))
    assert main(["version"]) == 0
    assert asked == [(resource.RLIMIT_CORE, (0, 0))]


def test_a_word_too_short_to_be_a_secret_stays_readable() -> None:
    Secret("a")
    Secret("")
    assert masked("a banana") == "a banana"


# ------------------------------------------------------------------ who may read what


@contextmanager
def masking_nothing(umask: int) -> Iterator[None]:
    before = os.umask(umask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize(
    ("venue", "umask"), [("ib", 0o000), ("binance", 0o000), ("ib", 0o022)], ids=str
)
def test_everything_is_for_its_owner_alone(
    tmp_path: Path, venue: str, umask: int, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [f"init --name mine --venue {venue}", "run", "run --dry-run", "status", "orders"]
    lines += ["check", "halt", "run", "watchdog", "resume --all --yes", "cancel", "flatten"]
    if venue == "ib":
        lines += ["run --at 2020-03-02T21:35Z"]
    with masking_nothing(umask):
        for line in lines:
            assert main(line.split()) in (0, 2, 3), line
    wrong = [
        f"{path.relative_to(tmp_path)} {path.stat().st_mode & 0o777:o}"
        for folder in (tmp_path / "state", tmp_path / "locks")
        for path in (folder, *folder.rglob("*"))
        if path.stat().st_mode & 0o077 and path.name != "README.md"
    ]
    assert not wrong, "\n".join(wrong)
    assert len(list((tmp_path / "state").rglob("*"))) > 20


def test_a_world_of_tests_is_clean(tmp_path: Path) -> None:
    """The nose has nothing to say where no secret was planted."""
    world: World = make_world(tmp_path, symbols=SYMBOLS)
    assert not leaks_below(world.folder)
