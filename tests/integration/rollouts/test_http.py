"""A rollout from an engineer's request over HTTP to the edges and back, over a real broker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from dyncal.testing.store import MemorySampleStore
from services.api.access.settings import AccessSection
from services.api.app import create_app
from services.api.deps import Deps
from services.api.settings import ApiSection
from tests.rollouts.trial import Trial
from tests.servers_mosquitto import Mosquitto

N = 20
PLAN = {"stages": [{"share": 0.05, "soak_s": 4.0}, {"share": 1.0, "soak_s": 4.0}]}


@pytest.mark.mosquitto
async def test_an_engineer_begins_pauses_resumes_and_aborts(tmp_path: Path, mosquitto: Mosquitto) -> None:
    trial = Trial(tmp_path / "var", mosquitto, N)
    settings = ApiSection(access=AccessSection(mode="open"))
    app = create_app(Deps.make(trial.registry, MemorySampleStore(), trial.clock, settings, console=tmp_path / "none"))
    transport = httpx.ASGITransport(app)
    try:
        trial.start()
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http, trial.alive():
            found = (await http.get("/v1/rollouts/candidates")).json()["items"]
            assert len(found) == N
            begun = await _order(http, "/v1/rollouts", {"reason": "record 17", "title": "t", "plan": PLAN})
            assert begun["answer"] == f"begun with {N} sensors"
            address = f"/v1/rollouts/{begun['subject']}"
            await _until(http, address, lambda r: r["n_touched"] == N)
            await _order(http, f"{address}/pause", {"reason": "wait"})
            assert (await http.get(address)).json()["state"] == "paused"
            await _order(http, f"{address}/resume", {"reason": "go on"})
            await _order(http, f"{address}/abort", {"reason": "no"})
            over = await _until(http, address, lambda r: r["state"] == "aborted")
            assert (over["n_reverted"], over["n_failed"], over["n_stuck"]) == (N, 0, 0)
            history = (await http.get(f"{address}/history", params={"limit": 1000})).json()["items"]
            assert {(m["action"], m["reason"]) for m in history if m["actor"] != "calibrate"} >= {
                ("rollout.begin", "record 17"), ("rollout.pause", "wait"), ("rollout.abort", "no"),
            }  # fmt: skip
            assert all(edge.runs.split(".")[1].startswith("3-") for edge in trial.edges)
            assert trial.registry.verify_audit() is None
    finally:
        trial.close()


async def _order(http: httpx.AsyncClient, address: str, body: dict[str, object]) -> dict[str, str]:
    answer = await http.post(address, json=body, headers={"prefer": "wait=50"}, timeout=60)
    assert (answer.status_code, answer.json()["state"]) == (200, "done"), answer.text
    return dict(answer.json())


async def _until(http: httpx.AsyncClient, address: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    async with asyncio.timeout(80):
        while not holds(found := (await http.get(address)).json()):
            await asyncio.sleep(0.2)
    return dict(found)
