"""The connection's socket as paho sees it, and beside paho: many packets with one call of the system, each way."""

from __future__ import annotations

import collections
import fcntl
import selectors
import socket
import ssl
import struct
import termios
import threading
from typing import Final

_READ_BYTES: Final = 256 << 10
_SEND_BYTES: Final = 64 << 10
_BLOCKED: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Wire:
    """Given to paho in place of its socket, which it takes over.

    All belongs to who turns the connection, a thread or the event loop, but `put` and `wake`.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._given = bytearray()  # for paho to read
        self._ended = False  # the other side sends no more
        self._queue: collections.deque[bytes] = collections.deque()
        self._sending = memoryview(b"")  # of what was taken from the queue; first of all
        self._woken = False
        self._closed = False
        self._n_put = self._n_sent = 0  # bytes, before TLS
        self._lock = threading.Lock()  # of the two, so that nobody writes into a descriptor that is another's by now
        self._hear, self._call = socket.socketpair()
        for one in (sock, self._hear, self._call):
            one.settimeout(0.0)
        if sock.family != socket.AF_UNIX:  # packets go together as it is, and none is to wait for an ACK
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._hear, selectors.EVENT_READ)
        self._selector.register(sock, selectors.EVENT_READ)
        self._asked = selectors.EVENT_READ

    # For any thread

    def put(self, packet: bytes) -> int:
        """Have a packet sent by the next `flush`; of a closed connection it goes nowhere.

        Return what `delivered` is when it is there.
        """
        with self._lock:
            self._queue.append(packet)
            self._n_put += len(packet)
            return self._n_put

    @property
    def delivered(self) -> int:
        """How many bytes the other side's system has taken, as far as ours knows: never more than it has.

        TLS adds some to what is under way, so that a little less is told while something is.
        """
        n_sent = self._n_sent
        with self._lock:
            if self._closed:
                return 0
            try:
                told = fcntl.ioctl(self._sock.fileno(), termios.TIOCOUTQ, bytes(4))
            except OSError:
                return n_sent
        under_way: int = struct.unpack("i", told)[0]
        return max(0, n_sent - under_way)

    def wake(self) -> None:
        """End a `wait`, the present one or the next."""
        with self._lock:
            if not self._woken and not self._closed:
                self._woken = True
                self._call.send(b"\0")

    # For who turns the connection

    @property
    def unsent(self) -> bool:
        """True where the network does not take what was begun to be sent."""
        return bool(self._sending)

    @property
    def pending_tls(self) -> bool:
        """True where something may be read although nothing arrives any more."""
        return isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0

    def wait(self, timeout_s: float, *, to_write: bool) -> bool:
        """Wait until something is to do; return whether something may be read. `to_write` is for what paho holds."""
        wanted = selectors.EVENT_READ
        if self._sending or to_write:
            wanted |= selectors.EVENT_WRITE
        if wanted != self._asked:
            self._selector.modify(self._sock, wanted)
            self._asked = wanted
        pending = self.pending_tls
        ready = {key.fileobj: events for key, events in self._selector.select(0.0 if pending else timeout_s)}
        if self._hear in ready:
            with self._lock:  # before anybody looks at what there is to do
                self._hear.recv(16)
                self._woken = False
        return pending or bool(ready.get(self._sock, 0) & selectors.EVENT_READ)

    def read(self) -> bytes:
        """Return what has arrived; nothing where it is for TLS only, or at the end. Raises `OSError`."""
        try:
            data = self._sock.recv(_READ_BYTES)
        except _BLOCKED:
            return b""
        self._ended = not data
        return data

    @property
    def ended(self) -> bool:
        """True when the other side sends no more."""
        return self._ended

    def give(self, packet: bytes) -> None:
        """Let paho read this packet."""
        self._given += packet

    def flush(self, *, begun: bool = False) -> None:
        """Send what was put, or only what is `begun`, as far as the network takes it. Raises `OSError`."""
        while self._sending or (not begun and self._take()):
            try:
                n = self._sock.send(self._sending)
            except _BLOCKED:
                return
            self._n_sent += n
            self._sending = self._sending[n:]

    def _take(self) -> bool:
        packets: list[bytes] = []
        n_bytes = 0
        while self._queue and n_bytes < _SEND_BYTES:
            packets.append(self._queue.popleft())
            n_bytes += len(packets[-1])
        self._sending = memoryview(b"".join(packets))
        return bool(self._sending)

    # For paho

    def recv(self, n_bytes: int) -> bytes:
        """Return what paho was given to read."""
        if not self._given and not self._ended:
            raise BlockingIOError
        data = bytes(self._given[:n_bytes])
        del self._given[:n_bytes]
        return data

    def send(self, packet: bytes | bytearray) -> int:
        """Send a packet of paho's, whole, and never into the midst of another."""
        if self._sending:
            raise BlockingIOError
        n = self._sock.send(packet)
        with self._lock:
            self._n_put += len(packet)
        self._n_sent += n
        self._sending = memoryview(bytes(packet[n:]))
        return len(packet)

    def pending(self) -> int:
        """Return how much paho has to read."""
        return len(self._given)

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self._sock.fileno()

    def setblocking(self, flag: bool) -> None:
        """Do as asked."""
        self._sock.setblocking(flag)

    def close(self) -> None:
        """Close without a word; idempotent."""
        with self._lock:
            self._closed = True
        self._selector.close()
        for one in (self._sock, self._hear, self._call):
            one.close()
