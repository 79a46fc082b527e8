"""The first start of the program: a key on standard output, once, and nowhere else."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from dyncal.runtime.ports import free_port

KEY = re.compile(rb"dyn_[a-z2-7]{8}_[A-Za-z0-9_-]{43}")


@contextlib.asynccontextmanager
async def program(config: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DYNCAL_")}
    pipe = asyncio.subprocess.PIPE
    made = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.api", "--config", str(config), stdout=pipe, stderr=pipe, env=environment
    )
    try:
        yield made
    finally:
        if made.returncode is None:
            made.terminate()
        await asyncio.wait_for(made.communicate(), 30)


async def answers(address: str) -> None:
    async with httpx.AsyncClient(base_url=address) as client:
        for _ in range(600):
            with contextlib.suppress(httpx.HTTPError):
                if (await client.get("/healthz")).status_code == 200:
                    return
            await asyncio.sleep(0.1)
    raise AssertionError("the program does not answer")


async def test_a_key_is_printed_once_and_opens_everything(tmp_path: Path) -> None:
    port, data = free_port(), tmp_path / "data"
    config = tmp_path / "dyncal.toml"
    config.write_text(
        f'data_dir = "{data}"\n[broker]\nport = {free_port()}\n[api]\nport = {port}\n[log]\nlevel = "debug"\n',
        encoding="utf-8",
    )
    address = f"http://127.0.0.1:{port}"
    async with program(config) as first:
        await answers(address)
        async with httpx.AsyncClient(base_url=address) as client:
            assert (await client.get("/v1/sensors")).status_code == 401
            first.terminate()
            out, err = await asyncio.wait_for(first.communicate(), 30)
    assert first.returncode == 0
    (key,) = KEY.findall(out)
    secret = key.split(b"_", 2)[2]
    assert secret not in err
    assert all(secret not in file.read_bytes() for file in data.rglob("*") if file.is_file())
    async with program(config) as second:
        await answers(address)
        headers = {"authorization": f"Bearer {key.decode()}"}
        async with httpx.AsyncClient(base_url=address, headers=headers) as client:
            assert (await client.get("/v1/session")).json()["role"] == "admin"
            assert len((await client.get("/v1/keys")).json()["items"]) == 1
        second.terminate()
        out, err = await asyncio.wait_for(second.communicate(), 30)
    assert KEY.search(out) is None
    assert secret not in err
