"""The registry's part about calibrations on demand."""

from __future__ import annotations

import sqlalchemy as sa

from dyncal.adapters.registry import audit, documents
from dyncal.adapters.registry.database import Database
from dyncal.adapters.registry.jobs_tables import jobs as _t
from dyncal.domain.errors import Conflict, NotFound
from dyncal.domain.jobs import Job, JobState
from dyncal.ports.records import Act

_FINAL = [state for state in JobState if state.final]


class SqlJobs:
    """`dyncal.ports.jobs` over SQLAlchemy; every method also raises `StoreUnavailable`."""

    _db: Database

    def add_job(self, job: Job, act: Act, *, most: int) -> None:
        """Add one; the oldest that have ended are forgotten beyond `most`. Raises `Conflict` if its id is taken."""
        with self._db.write() as connection:
            audit.append(connection, act, "job.add", f"{job.id} {job.sensor.id}")
            if connection.execute(sa.select(_t.c.id).where(_t.c.id == job.id)).first() is not None:
                raise Conflict(f"there is a job {job.id} already")
            connection.execute(sa.insert(_t).values(id=job.id, asked_ns=job.asked_ns, **_changing(job)))
            n = int(connection.execute(sa.select(sa.func.count()).select_from(_t)).scalar_one())
            if n > most:
                ended = sa.select(_t.c.id).where(_t.c.state.in_(_FINAL)).order_by(_t.c.asked_ns, _t.c.id)
                oldest = connection.execute(ended.limit(n - most)).scalars().all()
                connection.execute(sa.delete(_t).where(_t.c.id.in_(oldest)))

    def keep_job(self, job: Job, act: Act | None = None) -> None:
        """Replace one by what it has become. Raises `NotFound`."""
        with self._db.write() as connection:
            before = connection.execute(sa.select(_t.c.revision).where(_t.c.id == job.id)).scalar_one_or_none()
            if before is None:
                raise NotFound(f"there is no job {job.id}")
            if before >= job.revision:
                return
            connection.execute(sa.update(_t).where(_t.c.id == job.id).values(**_changing(job)))
            if act is not None:
                audit.append(connection, act, "job.cancel", f"{job.id} {job.sensor.id}")

    def jobs(self) -> list[Job]:
        """Return all that are kept, oldest first."""
        query = sa.select(_t.c.document).order_by(_t.c.asked_ns, _t.c.id)
        with self._db.read() as connection:
            return [documents.load(document, Job) for document in connection.execute(query).scalars()]


def _changing(job: Job) -> dict[str, object]:
    return {"state": job.state, "revision": job.revision, "document": documents.dump(job)}
