"""The gateway on a port of this machine."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from rebalancer.errors import UsageError
from rebalancer.simulators.ib_gateway import tcp
from rebalancer.simulators.ib_gateway.tcp import LoopbackServer
from tests.unit.ib_gateway.transport.toy import ToyGateway

Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def serve(
    test: Callable[[LoopbackServer], Awaitable[None]],
    gateway: ToyGateway | None = None,
    **more: Any,
) -> ToyGateway:
    """Run a test beside a server; return its gateway."""
    toy = gateway or ToyGateway()

    async def run() -> None:
        server = LoopbackServer(cast("Any", toy), **more)
        await server.start()
        try:
            await test(server)
        finally:
            server.stop()
            await asyncio.sleep(0.01)  # the sockets close in the loop's next turns

    asyncio.run(run())
    return toy


def toy(server: LoopbackServer) -> ToyGateway:
    return cast("ToyGateway", server.gateway)


async def client(server: LoopbackServer) -> Client:
    return await asyncio.open_connection(server.host, server.port)


async def say(to: Client, data: bytes) -> bytes:
    to[1].write(data)
    return await asyncio.wait_for(to[0].read(100), 10)


async def hang_up(*clients: Client) -> None:
    for _, writer in clients:
        writer.close()
        await asyncio.wait([asyncio.create_task(writer.wait_closed())])


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "192.168.1.5", "::", "example.com", ""],  # noqa: S104 - refused
)
def test_addresses_that_others_can_reach_are_refused(host: str) -> None:
    with pytest.raises(UsageError, match="loopback only"):
        LoopbackServer(cast("Any", ToyGateway()), host)


def test_a_free_port_is_found_and_told() -> None:
    async def test(server: LoopbackServer) -> None:
        assert server.host == "127.0.0.1"
        assert server.port > 0
        one = await client(server)
        assert await say(one, b"hello") == b"hello"
        await hang_up(one)

    serve(test, port=0)


def test_a_port_that_is_taken_is_a_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        async def test(_: LoopbackServer) -> None:
            raise AssertionError("it cannot be there")

        with pytest.raises(UsageError, match=rf"port {port} of 127\.0\.0\.1 is in use .* --port"):
            serve(test, port=port)


def test_several_clients_have_a_session_each() -> None:
    async def test(server: LoopbackServer) -> None:
        clients = [await client(server) for _ in range(5)]
        for number, each in enumerate(clients):
            assert await say(each, b"%d" % number) == b"%d" % number
        await hang_up(*clients)

    assert serve(test).attached == 5


def test_a_client_that_hangs_up_ends_its_session() -> None:
    async def test(server: LoopbackServer) -> None:
        one, two = await client(server), await client(server)
        await say(one, b"hello")
        await hang_up(one)
        assert await say(two, b"still there") == b"still there"
        await hang_up(two)

    gateway = serve(test)
    assert sorted(gateway.closed)[0] == 1
    assert gateway.sessions == {}


def test_a_client_that_only_shuts_its_side_is_let_go() -> None:
    async def test(server: LoopbackServer) -> None:
        one = await client(server)
        one[1].write_eof()
        assert await asyncio.wait_for(one[0].read(), 10) == b""
        await hang_up(one)

    serve(test)


def test_what_was_written_before_hanging_up_arrives() -> None:
    async def test(server: LoopbackServer) -> None:
        one = await client(server)
        one[1].write(b"bye")
        assert await asyncio.wait_for(one[0].read(), 10) == b"bye"
        await hang_up(one)

    serve(test)


def test_a_bug_ends_one_connection_and_not_the_gateway(capsys: pytest.CaptureFixture[str]) -> None:
    async def test(server: LoopbackServer) -> None:
        one, two = await client(server), await client(server)
        assert await say(one, b"!") == b""
        assert await say(two, b"hello") == b"hello"
        await hang_up(one, two)

    serve(test)
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_nobody_listens_while_connections_are_refused() -> None:
    closed = [False]

    async def test(server: LoopbackServer) -> None:
        closed[0] = True
        await server.obey()
        with pytest.raises(ConnectionRefusedError):
            await client(server)
        closed[0] = False
        port = server.port
        await server.obey()
        assert server.port == port
        one = await client(server)
        assert await say(one, b"again") == b"again"
        await hang_up(one)

    serve(test, refused=lambda: closed[0])


def test_a_client_that_never_reads_is_let_go_and_blocks_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tcp, "MOST_UNSENT", 2**20)

    async def test(server: LoopbackServer) -> None:
        deaf = socket.create_connection((server.host, server.port))
        deaf.setblocking(False)
        loop = asyncio.get_running_loop()
        # A megabyte is echoed 64 times: far more than the kernel keeps for a client.
        for _ in range(16):
            try:
                await asyncio.wait_for(loop.sock_sendall(deaf, b"x" * 65_536), 5)
            except (ConnectionError, TimeoutError):
                break
        one = await client(server)
        assert await say(one, b"h") == b"h" * 64
        for _ in range(200):
            if 1 in toy(server).closed:
                break
            await asyncio.sleep(0.02)
        deaf.close()
        await hang_up(one)

    assert 1 in serve(test, ToyGateway(times=64)).closed


def test_a_connection_that_stalls_is_not_read_any_more() -> None:
    async def test(server: LoopbackServer) -> None:
        one = await client(server)
        one[1].write(b"stall")
        await one[1].drain()
        await asyncio.sleep(0.05)
        one[1].write(b"more")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(one[0].read(10), 0.2)
        assert toy(server).sessions[1].received == b"stall"
        await hang_up(one)

    serve(test)
