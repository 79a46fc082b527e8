"""The jobs: one runs, a few wait, the last ones are remembered, in the registry, so that they outlive the service."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections import OrderedDict, deque
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

import msgspec
import numpy as np

from dyncal.domain.calibration import Calibration, Verdict
from dyncal.domain.errors import DyncalError, InvalidData, NotFound
from dyncal.domain.jobs import Job, JobState, Stage
from dyncal.domain.time import InstantNs, seconds
from dyncal.ports.clock import Clock
from dyncal.ports.jobs import JobRegistry
from dyncal.ports.records import Act
from dyncal.ports.sample_store import SampleStore
from dyncal.runtime.logging import logger
from services.api.aligned import reference_at
from services.api.errors import Problem
from services.api.jobs.messages import Asked, Found
from services.api.metrics import ApiMetrics

MOST_WAITING: Final = 20
MOST_REMEMBERED: Final = 200
MOST_SAMPLES: Final = 1_000_000
LIMIT_S: Final = 600.0
MOST_BEGUN: Final = 2
"""Times that a job is begun which the service did not outlive: it may be what ends it."""

AGAIN_S: Final = 2.0
"""Time after which what could not be written is tried again [s]."""


log = logger("api")


class JobDesk:
    """For the event loop of the service, but for `load`; `run` works until cancelled."""

    def __init__(self, registry: JobRegistry, store: SampleStore, clock: Clock, metrics: ApiMetrics) -> None:
        self._registry, self._store, self._clock, self._metrics = registry, store, clock, metrics
        self._adding = asyncio.Lock()
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._waiting: deque[str] = deque()
        self._changed = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._present = ""
        self.closed = False

    def load(self) -> None:
        """Go on from what the registry has: what waited waits, and what ran begins again. Blocks.

        Raises
        ------
        StoreUnavailable
            If the registry is not there.
        """
        for job in self._registry.jobs():
            self._jobs[job.id] = job
            if job.state is JobState.RUNNING and job.n_begun >= MOST_BEGUN:
                failed = self._put(
                    job,
                    state=JobState.FAILED,
                    stage=Stage.FINISHED,
                    ended_ns=self._clock.now(),
                    detail=f"the service ended {job.n_begun} times while it ran: it is not begun again",
                )
                self._registry.keep_job(failed)
            elif job.state is JobState.RUNNING:
                self._put(job, state=JobState.WAITING, stage=Stage.WAITING)
        self._waiting.extend(job.id for job in self._jobs.values() if not job.state.final)

    async def add(self, job: Job, act: Act) -> Job:
        """Take a job, or return the one that its id has already; it is in the registry then.

        Raises
        ------
        Problem
            422, if that one was asked for otherwise; 429, if too many wait.
        StoreUnavailable
            If the registry is not there.
        """
        async with self._adding:
            return await self._add(job, act)

    async def _add(self, job: Job, act: Act) -> Job:
        known = self._jobs.get(job.id)
        if known is not None:
            if known.digest != job.digest:
                raise Problem(
                    HTTPStatus.UNPROCESSABLE_ENTITY, "another command was given under this key", kind="key-reused"
                )
            return known
        if len(self._waiting) >= MOST_WAITING:
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS, f"{MOST_WAITING} calibrations wait already", kind="too-many-jobs"
            )
        await asyncio.to_thread(self._registry.add_job, job, act, most=MOST_REMEMBERED)
        self._jobs[job.id] = job
        self._waiting.append(job.id)
        while len(self._jobs) > MOST_REMEMBERED:
            self._jobs.pop(next(id_ for id_, each in self._jobs.items() if each.state.final))
        self._wake()
        return job

    def job(self, id_: str) -> Job:
        """Return a job as it stands. Raises `NotFound`."""
        try:
            return self._jobs[id_]
        except KeyError:
            raise NotFound(f"there is no job {id_[:80]!r}, or it is forgotten") from None

    def jobs(self) -> list[Job]:
        """Return all that are remembered, newest first."""
        return list(reversed(self._jobs.values()))

    async def cancel(self, id_: str, act: Act) -> Job:
        """End a job that has not ended. Raises `NotFound`; `StoreUnavailable`: then it is ended and not kept so."""
        job = self.job(id_)
        if not job.state.final:
            job = self._put(job, state=JobState.CANCELLED, stage=Stage.FINISHED, ended_ns=self._clock.now())
            with contextlib.suppress(ValueError):
                self._waiting.remove(id_)
            if self._present == id_ and self._process is not None:
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()
            await asyncio.to_thread(self._registry.keep_job, job, act)
        return job

    async def changed(self, id_: str, revision: int, timeout_s: float) -> Job | None:
        """Return a job as soon as its revision is higher than that, or None after `timeout_s`. Raises `NotFound`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self.job(id_).revision <= revision and not self.closed:
                    await self._changed.wait()
        job = self.job(id_)
        return job if job.revision > revision else None

    def close(self) -> None:
        """Wake all who wait."""
        self.closed = True
        self._wake()

    async def run(self) -> None:
        """Work off what waits, one after the other."""
        while True:
            while not self._waiting:
                await self._changed.wait()
            job = self._jobs[self._waiting.popleft()]
            self._present = job.id
            try:
                async with asyncio.timeout(LIMIT_S):
                    await self._carry_out(job)
            except TimeoutError:
                self._fail(job.id, f"it took longer than {LIMIT_S:g} s")
            except (DyncalError, OSError, msgspec.DecodeError) as error:  # one job must not end the service
                self._fail(job.id, str(error))
            finally:
                self._present = ""
            self._count(self._jobs[job.id])
            await self._keep(job.id)

    def _count(self, job: Job) -> None:
        self._metrics.jobs.labels(job.state.value).inc()
        if job.started_ns is not None and job.ended_ns is not None:
            self._metrics.job_s.observe(seconds(job.ended_ns - job.started_ns))

    def _wake(self) -> None:
        self._metrics.jobs_waiting.set(len(self._waiting))
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _put(self, job: Job, **changes: Any) -> Job:
        made = self._jobs[job.id] = replace(job, revision=job.revision + 1, **changes)
        self._wake()
        return made

    async def _keep(self, id_: str) -> None:
        """Have the registry know how a job stands, as soon as it answers."""
        while True:
            try:
                await asyncio.to_thread(self._registry.keep_job, self._jobs[id_])
            except NotFound:
                return  # somebody has put back an older registry
            except DyncalError as error:
                log.warning("job_not_kept", job=id_, error=str(error))
                await asyncio.sleep(AGAIN_S)
            else:
                return

    def _fail(self, id_: str, why: str) -> None:
        job = self._jobs[id_]
        if not job.state.final:
            self._put(job, state=JobState.FAILED, stage=Stage.FINISHED, ended_ns=self._clock.now(), detail=why)

    async def _carry_out(self, job: Job) -> None:
        job = self._put(
            job, state=JobState.RUNNING, stage=Stage.READING, started_ns=self._clock.now(), n_begun=job.n_begun + 1
        )
        await asyncio.to_thread(self._registry.keep_job, job)
        asked, n = await asyncio.to_thread(self._read, job)
        if self._jobs[job.id].state.final:
            return
        job = self._put(job, stage=Stage.STARTING, n_samples=n)
        content = await self._fit(job, asked)
        job = self._jobs[job.id]
        if job.state.final:
            return
        result = self._result(job, msgspec.msgpack.decode(content, type=Found))
        self._put(job, state=JobState.DONE, stage=Stage.FINISHED, ended_ns=self._clock.now(), result=result)
        log.info("calibrated_on_demand", job=job.id, sensor=job.sensor.id, verdict=result.verdict)

    def _read(self, job: Job) -> tuple[bytes, int]:
        """Return what the fit is asked, and how many samples that is; blocks."""
        series = self._store.read(job.sensor.id, job.from_ns, job.to_ns)
        good = np.isfinite(series.raw)
        t_ns, raw = series.t_ns[good], series.raw[good]
        if not 2 <= t_ns.size <= MOST_SAMPLES:
            raise InvalidData(f"there are {t_ns.size} samples in that interval: 2 to {MOST_SAMPLES} can be fitted to")
        reference = reference_at(t_ns, self._store.read(job.pairing.reference, job.from_ns, job.to_ns))
        if not bool(np.any(np.isfinite(reference))):
            raise InvalidData(f"there are no samples of the reference {job.pairing.reference} in that interval")
        asked = Asked(
            job.pairing,
            t_ns.astype("<i8").tobytes(),
            raw.astype("<f8").tobytes(),
            reference.astype("<f8").tobytes(),
        )
        return msgspec.msgpack.encode(asked), int(t_ns.size)

    async def _fit(self, job: Job, asked: bytes) -> bytes:
        """Return what the process of the fit wrote; it is ended with whatever ends this."""
        pipe = asyncio.subprocess.PIPE
        process = self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.api.jobs.fit", stdin=pipe, stdout=pipe, stderr=pipe
        )
        try:
            assert process.stdin is not None  # noqa: S101 - three pipes were asked for
            assert process.stdout is not None  # noqa: S101 - as is stdin
            assert process.stderr is not None  # noqa: S101 - as is stdin
            with contextlib.suppress(ConnectionError):
                process.stdin.write(asked)
                await process.stdin.drain()
            process.stdin.close()
            if await process.stderr.readline() == b"fitting\n" and not self._jobs[job.id].state.final:
                self._put(self._jobs[job.id], stage=Stage.FITTING)
            content, complaint = await asyncio.gather(process.stdout.read(), process.stderr.read())
            status = await process.wait()
        finally:
            self._process = None
            if process.returncode is None:
                process.kill()
                await process.wait()
        if status != 0 and not self._jobs[job.id].state.final:
            log.error("fit_failed", job=job.id, status=status, error=complaint.decode(errors="replace")[-2000:])
            raise InvalidData(f"the fit ended with status {status}; the log says more")
        return content

    def _result(self, job: Job, made: Found) -> Calibration:
        if made.error:
            raise InvalidData(made.error)
        return Calibration(
            id=f"{job.sensor.id}.demand.{job.id}",
            sensor=job.sensor.id,
            reference=job.pairing.reference,
            parameters=made.parameters(),
            verdict=Verdict(made.verdict),
            unobservable=made.unobservable,
            reduced_chi2=made.reduced_chi2,
            whiteness_p=made.whiteness_p,
            noise_std=made.noise_std,
            n_samples=made.n_samples,
            window_from_ns=InstantNs(made.window_from_ns),
            window_to_ns=InstantNs(made.window_to_ns),
            fitted_at_ns=InstantNs(self._clock.now()),
            method=made.method,
            detail=made.detail,
        )
