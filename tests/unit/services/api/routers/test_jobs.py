"""Calibrations on demand, with the fit in its own process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest

from dyncal.domain.errors import StoreUnavailable
from dyncal.domain.jobs import Job, JobState, Stage
from dyncal.domain.time import DurationNs, InstantNs, UniformAxis
from dyncal.testing.records import block
from dyncal.testing.registry import S1, S2, act
from services.api.app import create_app
from services.api.deps import Deps
from services.api.jobs import desk
from services.api.jobs.desk import JobDesk
from services.api.metrics import ApiMetrics
from services.api.schemas.jobs import JobOut
from tests.unit.services.api.conftest import OPEN, Api

URL = f"/v1/sensors/{S1}/calibrations"
T0, DT, N = 1_700_000_000_000_000_000, 100_000_000, 3000
PAIRING = {"reference": S2, "model": "first_order", "u_reference": 0.001}
WHOLE = {"from_ns": T0, "to_ns": T0 + N * DT, "pairing": PAIRING}


@pytest.fixture
async def working(api: Api) -> AsyncIterator[Api]:
    """Yield an application whose jobs are worked off, with five minutes of a lagging sensor."""
    rng = np.random.default_rng(3)
    truth = np.cumsum(rng.standard_normal(N)) * 0.3 + 20
    raw = np.empty(N)
    state, pole = truth[0], np.exp(-0.1 / 0.5)
    for k in range(N):
        raw[k] = state
        state = pole * state + (1 - pole) * truth[k]
    axis = UniformAxis(InstantNs(T0), DurationNs(DT), N)
    noisy = raw + 0.01 * rng.standard_normal(N)
    api.store.write([block(noisy, axis=axis, sensor=S1), block(truth, axis=axis, sensor=S2)])
    running = asyncio.create_task(api.deps.jobs.run())
    yield api
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def ended(api: Api, address: str) -> dict[str, Any]:
    """Return a job when it has ended."""
    async with asyncio.timeout(90):
        while True:
            job: dict[str, Any] = (await api.http.get(address)).json()
            if job["ended_at_ns"] is not None:
                return job
            await asyncio.sleep(0.1)


async def test_a_stored_interval_is_calibrated_and_no_calibration_of_the_registry_comes_of_it(working: Api) -> None:
    before = working.registry.audit()
    answer = await working.http.post(URL, json={**WHOLE, "reason": "after cleaning"})
    assert answer.status_code == 202
    job = await ended(working, answer.headers["location"])
    assert (job["state"], job["share"], job["detail"]) == ("done", 1.0, "")
    result = job["result"]
    assert result["verdict"] == "accepted", result["detail"]
    values = dict(zip(result["parameters"]["names"], result["parameters"]["values"], strict=True))
    assert values["tau_s"] == pytest.approx(0.5, rel=0.05)
    assert result["n_samples"] == pytest.approx(N, abs=5)
    (entry,) = working.registry.audit()[len(before) :]
    assert (entry.action, entry.subject, entry.reason) == ("job.add", f"{job['id']} {S1}", "after cleaning")
    assert working.registry.calibrations() == []
    assert [each["id"] for each in (await working.http.get("/v1/jobs")).json()["items"]] == [job["id"]]


async def test_events_follow_a_job_to_its_end_and_resume(working: Api) -> None:
    answer = await working.http.post(URL, json=WHOLE)
    stream = await working.http.get(f"{answer.headers['location']}/events", timeout=90)
    events = [line.removeprefix("data: ") for line in stream.text.splitlines() if line.startswith("data: ")]
    stages = [json.loads(event)["stage"] for event in events]
    assert stages[-1] == "finished"
    assert "fitting" in stages
    ids = [int(line.removeprefix("id: ")) for line in stream.text.splitlines() if line.startswith("id: ")]
    assert ids == sorted(set(ids))
    again = await working.http.get(f"{answer.headers['location']}/events", headers={"last-event-id": str(ids[-2])})
    assert again.text.count("event: job") == 1


async def test_the_same_key_gives_the_same_job_and_another_request_is_refused(api: Api) -> None:
    headers = {"idempotency-key": "k1"}
    first = await api.http.post(URL, json=WHOLE, headers=headers)
    assert (await api.http.post(URL, json=WHOLE, headers=headers)).json() == first.json()
    other = await api.http.post(URL, json={**WHOLE, "to_ns": T0 + 1}, headers=headers)
    assert (other.status_code, other.json()["type"]) == (422, "urn:dyncal:problem:key-reused")
    assert len((await api.http.get("/v1/jobs")).json()["items"]) == 1


async def test_a_job_is_cancelled_while_it_waits_and_while_it_runs(working: Api) -> None:
    first = await working.http.post(URL, json=WHOLE)
    second = await working.http.post(URL, json=WHOLE)
    waiting = await working.http.delete(second.headers["location"])
    assert waiting.json()["state"] == "cancelled"
    async with asyncio.timeout(60):
        while working.deps.jobs._process is None:
            await asyncio.sleep(0.01)
    process = working.deps.jobs._process
    assert (await working.http.delete(first.headers["location"])).json()["state"] == "cancelled"
    assert await asyncio.wait_for(process.wait(), 10) != 0
    assert (await working.http.get(first.headers["location"])).json()["state"] == "cancelled"
    after = await working.http.post(URL, json=WHOLE)
    assert (await ended(working, after.headers["location"]))["state"] == "done"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"from_ns": 0, "to_ns": 10}, "0 samples"),
        ({"pairing": {**PAIRING, "reference": "zz-9"}}, "no samples of the reference"),
    ],
)
async def test_what_cannot_be_fitted_fails_with_its_reason(working: Api, change: dict[str, Any], said: str) -> None:
    answer = await working.http.post(URL, json=WHOLE | change)
    job = await ended(working, answer.headers["location"])
    assert job["state"] == "failed"
    assert said in job["detail"]


async def test_a_process_that_cannot_be_made_fails_the_job_alone(working: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", "/nowhere/python")
        job = await ended(working, (await working.http.post(URL, json=WHOLE)).headers["location"])
    assert job["state"] == "failed"
    again = await working.http.post(URL, json=WHOLE)
    assert (await ended(working, again.headers["location"]))["state"] == "done"


async def test_a_sensor_at_rest_is_a_verdict_and_no_failure(working: Api) -> None:
    axis = UniformAxis(InstantNs(T0 + 2 * N * DT), DurationNs(DT), 500)
    rest = 20 + 0.01 * np.random.default_rng(1).standard_normal((2, 500))
    working.store.write([block(rest[0], axis=axis, sensor=S1), block(rest[1], axis=axis, sensor=S2)])
    body = {**WHOLE, "from_ns": axis.t0_ns, "to_ns": axis.t0_ns + 500 * DT}
    job = await ended(working, (await working.http.post(URL, json=body)).headers["location"])
    assert job["state"] == "done", job
    assert job["result"]["verdict"] != "accepted"


async def test_requests_that_are_none(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    for change, status in (
        ({"to_ns": T0}, 422),
        ({"pairing": {**PAIRING, "reference": "nobody"}}, 404),
        ({"pairing": {**PAIRING, "reference": S1}}, 422),
        ({"more": 1}, 422),
    ):
        assert (await api.http.post(URL, json=WHOLE | change)).status_code == status, change
    assert (await api.http.post("/v1/sensors/nobody/calibrations", json=WHOLE)).status_code == 404
    assert (await api.http.get("/v1/jobs/j-none")).status_code == 404
    assert (await api.http.get("/v1/jobs/j-none/events")).status_code == 404
    assert (await api.http.delete("/v1/jobs/j-none")).status_code == 404
    api.registry.remove_pairing(S1, act())
    without = {name: WHOLE[name] for name in ("from_ns", "to_ns")}
    assert (await api.http.post(URL, json=without)).status_code == 404
    monkeypatch.setattr(desk, "MOST_WAITING", 1)
    assert (await api.http.post(URL, json=WHOLE)).status_code == 202
    assert (await api.http.post(URL, json=WHOLE)).status_code == 429


async def restarted(api: Api) -> JobDesk:
    """Return the desk of a service that begins on the same registry."""
    made = JobDesk(api.registry, api.store, api.clock, ApiMetrics())
    await asyncio.to_thread(made.load)
    return made


async def test_what_waits_outlives_the_service_and_its_key_too(api: Api) -> None:
    headers = {"idempotency-key": "k1"}
    asked = await api.http.post(URL, json=WHOLE, headers=headers)
    after = await restarted(api)
    assert [job.id for job in after.jobs()] == [asked.json()["id"]]
    again = Deps.make(api.registry, api.store, api.clock, OPEN)
    await asyncio.to_thread(again.jobs.load)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(again)), base_url="http://127.0.0.1") as http:
        assert (await http.post(URL, json=WHOLE, headers=headers)).json()["id"] == asked.json()["id"]
        assert len((await http.get("/v1/jobs")).json()["items"]) == 1
        other = await http.post(URL, json={**WHOLE, "to_ns": T0 + 1}, headers=headers)
        assert other.status_code == 422
    assert (await api.http.delete(asked.headers["location"])).json()["state"] == "cancelled"
    assert (await restarted(api)).jobs()[0].state is JobState.CANCELLED
    assert [entry.action for entry in api.registry.audit()][-2:] == ["job.add", "job.cancel"]


async def test_what_has_ended_is_there_after_a_restart_with_its_result(working: Api) -> None:
    asked = await working.http.post(URL, json=WHOLE)
    job = await ended(working, asked.headers["location"])
    async with asyncio.timeout(10):
        while (await restarted(working)).jobs()[0].state is not JobState.DONE:
            await asyncio.sleep(0.02)
    assert JobOut.of((await restarted(working)).jobs()[0]).model_dump(mode="json") == job


async def test_what_ran_when_the_service_ended_begins_again_and_twice_is_enough(api: Api) -> None:
    await api.http.post(URL, json=WHOLE)
    (job,) = api.registry.jobs()
    api.registry.keep_job(replace(job, state=JobState.RUNNING, stage=Stage.FITTING, n_begun=1, revision=4))
    (found,) = (await restarted(api)).jobs()
    assert (found.state, found.stage, found.revision) == (JobState.WAITING, Stage.WAITING, 5)
    api.registry.keep_job(replace(job, state=JobState.RUNNING, stage=Stage.FITTING, n_begun=2, revision=6))
    (found,) = (await restarted(api)).jobs()
    assert found.state is JobState.FAILED
    assert "2 times" in found.detail
    assert api.registry.jobs()[0].state is JobState.FAILED


async def test_a_registry_that_is_away_when_a_job_ends_gets_to_know_of_it(
    working: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "AGAIN_S", 0.01)
    keep, n_failed = working.registry.keep_job, 0

    def away(job: Job, act: Any = None) -> None:
        nonlocal n_failed
        if job.state.final and n_failed < 3:
            n_failed += 1
            raise StoreUnavailable("nobody answers")
        keep(job, act)

    monkeypatch.setattr(working.registry, "keep_job", away)
    body = {**WHOLE, "from_ns": 0, "to_ns": 10}  # fails at once: there are no samples
    await ended(working, (await working.http.post(URL, json=body)).headers["location"])
    async with asyncio.timeout(10):
        while working.registry.jobs()[0].state is not JobState.FAILED:
            await asyncio.sleep(0.02)
    assert n_failed == 3
