"""The socket that paho sees."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from dyncal.adapters.mqtt.wire import Wire


@pytest.fixture
def pair() -> Iterator[tuple[Wire, socket.socket]]:
    ours, theirs = socket.socketpair()
    wire = Wire(ours)
    theirs.settimeout(5)
    yield wire, theirs
    wire.close()
    theirs.close()


Pair = tuple[Wire, socket.socket]


def everything(sock: socket.socket, n_bytes: int) -> bytes:
    found = b""
    while len(found) < n_bytes:
        found += sock.recv(1 << 20)
    return found


def test_what_was_put_is_sent_together(pair: Pair) -> None:
    wire, theirs = pair
    for k in range(1000):
        wire.put(b"%04d" % k)
    wire.flush()
    assert everything(theirs, 4000) == b"".join(b"%04d" % k for k in range(1000))


def test_a_packet_does_not_wait_for_the_other_side_s_ack() -> None:
    """As it would behind another one, for up to 40 ms (RFC 896, and delayed ACK)."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        sock = socket.create_connection(server.getsockname())
        wire = Wire(sock)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        wire.close()


def test_packets_are_whole_where_the_network_takes_no_more(pair: Pair) -> None:
    wire, theirs = pair
    size = 1 << 20
    wire.put(b"a" * size)
    wire.put(b"b" * size)
    wire.flush()
    with pytest.raises(BlockingIOError):  # paho keeps its own, and comes again
        wire.send(b"c")
    found = b""
    while len(found) < 2 * size:
        found += theirs.recv(1 << 20)
        wire.wait(0.0, to_write=False)
        wire.flush()
    assert wire.send(b"c") == 1
    assert found + theirs.recv(1) == b"a" * size + b"b" * size + b"c"


def test_paho_s_packet_is_whole_too(pair: Pair) -> None:
    wire, theirs = pair
    size = 8 << 20
    assert wire.send(b"a" * size) == size
    wire.put(b"b")
    found = b""
    while len(found) < size + 1:
        wire.flush()
        found += theirs.recv(1 << 20)
    assert found == b"a" * size + b"b"


def test_paho_reads_what_it_is_given_and_nothing_else(pair: Pair) -> None:
    wire, theirs = pair
    theirs.sendall(b"hidden")
    assert wire.wait(5.0, to_write=False)
    assert wire.read() == b"hidden"
    with pytest.raises(BlockingIOError):
        wire.recv(1)
    wire.give(b"xyz")
    assert (wire.pending(), wire.recv(2), wire.recv(5)) == (3, b"xy", b"z")
    theirs.close()
    assert wire.wait(5.0, to_write=False)
    assert (wire.read(), wire.ended, wire.recv(1)) == (b"", True, b"")


def test_any_thread_ends_a_wait(pair: Pair) -> None:
    wire, _ = pair
    caller = threading.Timer(0.05, wire.wake)
    caller.start()
    started = time.monotonic()
    assert not wire.wait(10.0, to_write=False)
    assert time.monotonic() - started < 5
    caller.join()
    wire.flush()
    assert not wire.wait(0.0, to_write=False)


def test_waits_for_room_only_where_something_waits_for_it(pair: Pair) -> None:
    wire, _ = pair
    started = time.monotonic()
    wire.wait(0.05, to_write=False)
    assert time.monotonic() - started > 0.04
    wire.wait(10.0, to_write=True)
    assert time.monotonic() - started < 5


def test_a_closed_wire_takes_everything_and_does_nothing(pair: Pair) -> None:
    wire, _ = pair
    wire.close()
    wire.close()
    wire.put(b"x")
    wire.wake()
