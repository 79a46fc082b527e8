"""Programs that are asked on this machine: their words, or nothing where they are not there."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Awaitable, Callable
from typing import Final

Run = Callable[[tuple[str, ...]], Awaitable[str | None]]

LIMIT_S: Final = 2.0
_MOST_BYTES: Final = 1 << 16
_PATH: Final = ":/usr/local/sbin:/usr/sbin:/sbin"  # where clock daemons have their clients, and users none


async def run(command: tuple[str, ...]) -> str | None:
    """Return what a program prints; None where there is none, it fails, or it takes longer than 2 s."""
    program = shutil.which(command[0], path=os.environ.get("PATH", os.defpath) + _PATH)
    if program is None:
        return None
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            *command[1:],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        )
    except OSError:
        return None
    try:
        async with asyncio.timeout(LIMIT_S):
            said, _ = await process.communicate()
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return said[:_MOST_BYTES].decode(errors="replace") if process.returncode == 0 and said else None
