"""Addresses of this machine that no other machine can reach, for simulated venues."""

from __future__ import annotations

import errno
import ipaddress
import socket

from rebalancer.errors import UsageError


def loopback(host: str, who: str) -> str:
    """Return the address; raises `UsageError` unless only this machine can reach it.

    `who` listens there, in the words of the error: "the simulated gateway".
    """
    if host == "localhost":
        return "127.0.0.1"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if address is None or not address.is_loopback:
        raise UsageError(
            f"{who} listens on loopback only: {host!r} is not 127.0.0.1, ::1 or localhost"
        )
    return host


def bound(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address; raises `OSError` as the system does."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named, so that asyncio knows it for TCP and turns Nagle's delay off at what it accepts.
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
    except OSError:
        found.close()
        raise
    return found


def unusable(host: str, port: int, error: OSError, other: str) -> UsageError:
    """Return the error of an address that cannot be had; `other` may be what has it."""
    if error.errno == errno.EADDRINUSE:
        return UsageError(
            f"port {port} of {host} is in use (another {other}?); choose another with --port"
        )
    if error.errno == errno.EACCES:
        return UsageError(f"port {port} of {host} needs more rights; choose one above 1023")
    return UsageError(f"cannot listen at {host}:{port}: {error.strerror or error}")
