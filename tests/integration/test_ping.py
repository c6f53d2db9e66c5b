"""A run and the service that misses its silence: a real HTTP server on loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from rebalancer.config.passwords import passwords
from rebalancer.model.secret import Secret
from rebalancer.notify.ping import Ping, ping_trouble
from tests.integration.hours import SECOND, command, holding, run
from tests.portfolios import FIRST, World

pytestmark = pytest.mark.usefixtures("quick")
TOKEN = "f3b0c442-98fc-1c14-9afb-f4c8996fb924"


@dataclass
class Service:
    """What was asked of it, and how it answers."""

    url: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    status: int = 200
    silent: threading.Event | None = None


@contextmanager
def serving() -> Iterator[Service]:
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            service.asked.append((self.path, body))
            if service.silent is not None:
                service.silent.wait(30)
            self.send_response(service.status)
            if service.status == 302:
                self.send_header("Location", f"{service.url}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    service.url = f"http://127.0.0.1:{server.server_address[1]}/{TOKEN}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        if service.silent is not None:
            service.silent.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def service(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with serving() as found:
        monkeypatch.setenv("REBALANCER_DEMO_PING_URL", found.url)
        yield found


def paths(service: Service) -> list[str]:
    return [path.removeprefix(f"/{TOKEN}") for path, _ in service.asked]


def test_a_run_says_that_it_begins_and_that_it_ended_well(world: World, service: Service) -> None:
    assert run(world, FIRST) == 0
    assert paths(service) == ["/start", ""]
    assert service.asked[1][1].splitlines() == [
        "portfolio: demo", "slot: 2020-03-02T15:05Z", "outcome: finished", "exit code: 0",
    ]  # fmt: skip


def test_a_run_that_is_not_due_is_a_sign_of_life_too(world: World, service: Service) -> None:
    assert run(world, FIRST) == 0
    assert run(world, FIRST) == 0
    assert paths(service) == ["/start", "", "/start", ""]
    assert "outcome: idle" in service.asked[3][1]


def test_a_run_that_sends_nothing_or_breaks_off_says_so(world: World, service: Service) -> None:
    command(world, "halt", "x")
    assert run(world, FIRST) == 3
    assert paths(service) == ["/start", "/fail"]
    assert "exit code: 3" in service.asked[1][1]
    (world.state / "breakers.json").write_text("{", encoding="utf-8")
    assert run(world, SECOND) == 9
    assert paths(service)[2:] == ["/start", "/fail"]
    assert "exit code: 9" in service.asked[3][1]


def test_while_another_run_is_at_work_nothing_is_said(world: World, service: Service) -> None:
    with holding(world):
        assert run(world, FIRST) == 6
    assert service.asked == []
    with holding(world, hung=True):
        assert run(world, FIRST) == 7
    assert paths(service) == ["/fail"]


def test_a_dry_run_says_nothing(world: World, service: Service) -> None:
    assert run(world, FIRST, "--dry-run") == 0
    assert service.asked == []


@pytest.mark.parametrize("status", [302, 404, 500])
def test_what_the_service_answers_changes_no_exit_code(
    world: World, service: Service, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    service.status = status
    assert run(world, FIRST) == 0
    # A redirect is not followed: the URL goes to nobody else.
    assert paths(service) == ["/start", ""]
    said = capsys.readouterr()
    assert f"ping: the service answered {status}" in said.err
    assert TOKEN not in said.err + said.out


def test_a_service_that_never_answers_is_not_waited_for(service: Service) -> None:
    service.silent = threading.Event()
    ping = Ping(Secret(service.url), seconds=0.2)
    ping.start()
    assert ping.end("over", good=True)
    service.silent.set()


def test_a_service_that_is_not_there_changes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving() as gone:
        pass
    monkeypatch.setenv("REBALANCER_PING_URL", gone.url)
    assert run(world, FIRST) == 0
    said = capsys.readouterr()
    assert "ping: the service cannot be reached" in said.err
    assert TOKEN not in said.err + said.out


def test_the_url_is_in_nothing_that_a_run_leaves(world: World, service: Service) -> None:
    assert run(world, FIRST) == 0
    found = [path for path in world.state.rglob("*") if path.is_file()]
    assert found
    assert not [path for path in found if TOKEN.encode() in path.read_bytes()]


def test_a_query_stays_behind_the_path(service: Service) -> None:
    ping = Ping(Secret(f"{service.url}/?rid=7"))
    ping.start()
    assert ping.end("", good=False) == ""
    assert paths(service) == ["/start?rid=7", "/fail?rid=7"]


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://hc-ping.com/abc", True),
        ("http://127.0.0.1:8000/abc", True),
        ("http://localhost/abc", True),
        ("http://hc-ping.com/abc", False),
        ("http://127.0.0.1.evil.example/abc", False),
        ("ftp://hc-ping.com/abc", False),
        ("file:///etc/passwd", False),
        ("hc-ping.com/abc", False),
        ("https://", False),
        ("https://hc-ping.com:99999/abc", False),
        ("https://hc-ping.com/a b", False),
        ("https://hc-ping.com/a\r\nX-Evil: 1", False),
    ],
)
def test_only_https_leaves_the_machine(tmp_path: Path, url: str, good: bool) -> None:
    assert (ping_trouble(url) == "") == good
    words, problems = passwords(tmp_path, "demo", {"REBALANCER_PING_URL": url})
    assert (words.ping == Secret(url)) == good
    assert bool(problems.found) != good
    assert not any("abc" in str(problem) for problem in problems.found)


def test_the_url_may_stand_in_the_secrets_file(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets.toml"
    secrets.write_text('[demo]\nping_url = "https://hc-ping.com/abc"\n', encoding="utf-8")
    secrets.chmod(0o600)
    words, problems = passwords(tmp_path, "demo", {})
    assert words.ping == Secret("https://hc-ping.com/abc")
    assert not problems.found
    assert "abc" not in repr(words)
