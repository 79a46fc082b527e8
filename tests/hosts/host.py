"""A host: a network namespace of its own, with loopback and a TUN device, and a thread that lives in it.

Whatever the thread starts or connects to is in that network. Namespaces have no names: they are gone with the last
program in them, and `contained` sees to it that none outlives who asked for it, however that ends.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from tests.hosts.wire import MTU

T = TypeVar("T")

_CLONE_NEWNET: Final = 0x40000000
_PR_SET_PDEATHSIG: Final = 1
_TUNSETIFF: Final = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def missing() -> str:
    """Return why no hosts can be made here; '' if they can."""
    if sys.platform != "linux":
        return "network namespaces are Linux's"
    if os.geteuid() != 0:
        return "needs to be root (CAP_NET_ADMIN, CAP_SYS_ADMIN)"
    for program, package in (("ip", "iproute2"), ("unshare", "util-linux")):
        if shutil.which(program) is None:
            return f"{program} is not installed: apt-get install {package}"
    if not Path("/dev/net/tun").exists():
        return "no /dev/net/tun"
    tried = subprocess.run([*_CONTAINER, "true"], capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else f"no namespaces here: {tried.stderr.strip()}"


_CONTAINER: Final = ("unshare", "--net", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc")


def contained(command: Sequence[str], **options: object) -> subprocess.Popen[str]:
    """Start a command in namespaces of its own: no network but what it makes, and none of its children outlives it.

    It ends with who has started it, kill -9 included.
    """
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]  # options by name
        [*_CONTAINER, *command], preexec_fn=_die_with_parent, text=True, **options
    )


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Host:
    """A host at `address` of a network of /24; within `contained` alone."""

    def __init__(self, name: str, address: str) -> None:
        self.name, self.address = name, address
        self._thread = ThreadPoolExecutor(1, f"host-{name}")
        self.fd: int = self.do(self._begin)

    def do(self, action: Callable[..., T], *arguments: object) -> T:
        """Do something there, and wait for it."""
        return self._thread.submit(action, *arguments).result()

    def _begin(self) -> int:
        if _LIBC.unshare(_CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH", b"eth0", _IFF_TUN | _IFF_NO_PI))
        for words in (
            "link set lo up",
            f"addr add {self.address}/24 dev eth0",
            f"link set eth0 mtu {MTU} up",
        ):
            subprocess.run(["ip", *words.split()], check=True)
        return fd

    def close(self) -> None:
        """End its thread; its device is the wire's to close."""
        self._thread.shutdown()
