"""What every registry must do with calibrations on demand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dyncal.domain.errors import Conflict, NotFound
from dyncal.domain.jobs import Job, JobState, Stage
from dyncal.domain.time import InstantNs
from dyncal.ports.registry import Registry
from dyncal.testing.registry import S1, T0, act, make_calibration, make_pairing, make_sensor


def make_job(name: str = "j-1", k: int = 0) -> Job:
    """Return a job that was asked for at second `k`, and waits."""
    asked_ns = InstantNs(T0 + k * 1_000_000_000)
    return Job(
        name, "digest", "key:abc", "why", make_sensor(S1), make_pairing(), InstantNs(T0), InstantNs(T0 + 9), asked_ns
    )


class JobRegistryContract:
    """Derive from it beside `RegistryContract`, which gives the fixture ``registry``."""

    def test_a_job_comes_back_as_it_was_and_as_it_became(self, registry: Registry) -> None:
        registry.add_job(make_job(), act(1, "after cleaning"), most=5)
        (found,) = registry.jobs()
        assert (found.id, found.sensor, found.pairing, found.state) == (
            "j-1",
            make_sensor(S1),
            make_pairing(),
            "waiting",
        )
        entry = registry.audit()[-1]
        assert (entry.action, entry.subject, entry.reason) == ("job.add", f"j-1 {S1}", "after cleaning")
        done = replace(
            found, state=JobState.DONE, stage=Stage.FINISHED, revision=4, ended_ns=InstantNs(T0 + 5),
            result=make_calibration(), n_samples=12, n_begun=1,
        )  # fmt: skip
        registry.keep_job(done)
        (kept,) = registry.jobs()
        assert (kept.state, kept.stage, kept.revision, kept.n_samples, kept.n_begun) == ("done", "finished", 4, 12, 1)
        assert kept.result is not None
        assert kept.result.parameters.cov.tobytes() == make_calibration().parameters.cov.tobytes()
        assert registry.audit()[-1].number == entry.number

    def test_what_is_older_does_not_come_back(self, registry: Registry) -> None:
        job = make_job()
        registry.add_job(job, act(), most=5)
        cancelled = replace(job, state=JobState.CANCELLED, revision=3)
        registry.keep_job(cancelled, act(2))
        assert registry.audit()[-1].action == "job.cancel"
        registry.keep_job(replace(job, state=JobState.RUNNING, revision=2))
        registry.keep_job(cancelled, act(3))
        assert registry.jobs()[0].state is JobState.CANCELLED
        assert [entry.action for entry in registry.audit()] == ["job.add", "job.cancel"]

    def test_the_oldest_that_have_ended_are_forgotten(self, registry: Registry) -> None:
        for k in range(4):
            registry.add_job(make_job(f"j-{k}", k), act(k), most=3)
            if k in (1, 2):
                registry.keep_job(replace(make_job(f"j-{k}", k), state=JobState.DONE, revision=2))
        assert [job.id for job in registry.jobs()] == ["j-0", "j-2", "j-3"]
        with pytest.raises(Conflict):
            registry.add_job(make_job("j-3"), act(), most=3)
        with pytest.raises(NotFound):
            registry.keep_job(make_job("j-1"))
