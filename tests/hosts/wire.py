"""A network in user space: hosts' TUN devices, and between them links that delay, lose, queue and cut packets.

The kernel's own netem is not in every kernel; a TUN device is. What the hosts' kernels see is a real network: TCP with
its retransmissions and its time-outs, and nobody who answers for a host that cannot be reached.
"""

from __future__ import annotations

import contextlib
import heapq
import os
import selectors
import threading
import time
from dataclasses import dataclass, field
from typing import Final

import numpy as np

MTU: Final = 1500
_TICK_S: Final = 0.05
_DESTINATION: Final = slice(16, 20)  # of an IPv4 header
_IPV4: Final = 4


@dataclass
class Link:
    """What a host's packets go through, in each direction on its own; may be changed while it works.

    Attributes
    ----------
    delay_s : float
        Of each packet [s].
    loss : float
        Probability that a packet is lost.
    rate_bit_s : float, optional
        Bits a second; None: no limit.
    queue_bytes : int
        What may wait for its turn where there is a limit; beyond it, packets are lost.
    up : bool
        False: nothing passes, and nobody is told.
    """

    delay_s: float = 0.0
    loss: float = 0.0
    rate_bit_s: float | None = None
    queue_bytes: int = 64_000
    up: bool = True


@dataclass
class _End:
    fd: int
    link: Link
    free_s: dict[str, float] = field(default_factory=dict)  # when the line is free again, by direction


class Wire:
    """Carries IPv4 packets between ends; enter it to begin. `seed` is of what is lost by chance."""

    def __init__(self, seed: int = 0) -> None:
        self._ends: dict[bytes, _End] = {}
        self._rng = np.random.default_rng(seed)
        self._due: list[tuple[float, int, bytes, bool, bytes]] = []  # when, order, whose link, outwards, packet
        self._order = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="wire", daemon=True)
        self.n_carried = 0
        self.n_lost = 0

    def attach(self, address: str, fd: int, link: Link) -> None:
        """Connect the TUN device behind `fd`, of the host at `address`; before the wire is entered."""
        os.set_blocking(fd, False)
        self._ends[bytes(map(int, address.split(".")))] = _End(fd, link)

    def __enter__(self) -> Wire:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(5)
        for end in self._ends.values():
            os.close(end.fd)

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            for address, end in self._ends.items():
                selector.register(end.fd, selectors.EVENT_READ, address)
            while not self._stop.is_set():
                wait_s = min(_TICK_S, max(0.0, self._due[0][0] - time.monotonic())) if self._due else _TICK_S
                for key, _ in selector.select(wait_s):
                    self._take(key.data, key.fd)
                self._pass_on()

    def _take(self, address: bytes, fd: int) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                packet = os.read(fd, 65_536)
                if packet[0] >> 4 == _IPV4 and packet[_DESTINATION] in self._ends:
                    self._enter(address, packet, time.monotonic(), outwards=True)

    def _enter(self, address: bytes, packet: bytes, now_s: float, *, outwards: bool) -> None:
        """Let a packet into the link of a host; lost, or due later at its other end."""
        end = self._ends[address]
        link, due_s = end.link, now_s
        lost = not link.up or (link.loss > 0 and self._rng.random() < link.loss)
        if not lost and link.rate_bit_s is not None:
            way = "out" if outwards else "in"
            begins_s = max(now_s, end.free_s.get(way, 0.0))
            lost = (begins_s - now_s) * link.rate_bit_s / 8 > link.queue_bytes
            if not lost:
                due_s = end.free_s[way] = begins_s + 8 * len(packet) / link.rate_bit_s
        if lost:
            self.n_lost += 1
            return
        self._order += 1
        heapq.heappush(self._due, (due_s + link.delay_s, self._order, address, outwards, packet))

    def _pass_on(self) -> None:
        while self._due and self._due[0][0] <= time.monotonic():
            now_s, _, address, outwards, packet = heapq.heappop(self._due)
            if outwards:
                self._enter(packet[_DESTINATION], packet, now_s, outwards=False)
            elif self._ends[address].link.up:
                self.n_carried += 1
                with contextlib.suppress(OSError):  # its device is down: gone, as on a wire
                    os.write(self._ends[address].fd, packet)
