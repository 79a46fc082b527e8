"""Online identification of one sensor: a fleet of one, or a place in a larger one (`online.fleet`)."""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.sensors import ModelKind
from dyncal.identification.online.fleet import EstimatorFleet
from dyncal.identification.records import AlignedRecord, BlockOutcome, Estimate
from dyncal.identification.settings import OnlineSettings

_CONTINUED: Final = np.zeros(1, dtype=np.bool_)
_ANEW: Final = np.ones(1, dtype=np.bool_)


class OnlineEstimator:
    """Follow the parameters of one sensor against its reference.

    Parameters
    ----------
    model : ModelKind
    dt_ns : int
        Nominal sampling interval of the sensor [ns]; the instants of the samples are what counts.
    settings : OnlineSettings, optional

    Attributes
    ----------
    fleet : EstimatorFleet
        Which follows it, alone or with others (`online.together`).
    place : int
        Its number there.

    Raises
    ------
    InvalidData
        If there is no online estimator for that kind or `dt_ns` is not positive.
    """

    def __init__(
        self,
        model: ModelKind,
        dt_ns: int,
        settings: OnlineSettings | None = None,
        *,
        fleet: EstimatorFleet | None = None,
    ) -> None:
        self.fleet = fleet or EstimatorFleet(model, [dt_ns], settings)
        self.place = 0

    @property
    def model(self) -> ModelKind:
        """The sensor's kind of model."""
        return self.fleet.model

    @property
    def dt_ns(self) -> int:
        """Nominal sampling interval [ns]."""
        return int(self.fleet.dt_ns[self.place])

    @property
    def settings(self) -> OnlineSettings:
        """What was set."""
        return self.fleet.settings[self.place]

    @property
    def estimate(self) -> Estimate | None:
        """What is known now; None before there was enough data to say anything."""
        return self.fleet.estimate(self.place)

    def update(self, record: AlignedRecord, *, new_segment: bool = False) -> list[BlockOutcome]:
        """Take in `record`, which continues the last one unless `new_segment`; return the blocks it closed.

        Indications that are not finite are left out; so are references, a few in a row, and more of them end the
        segment. Samples not newer than the newest known are left out. The result does not depend on how a stream is cut
        into records.
        """
        closed = self.fleet.ingest(
            np.array([self.place]),
            np.array([0, len(record)]),
            np.ascontiguousarray(record.t_ns),
            np.ascontiguousarray(record.indication),
            np.ascontiguousarray(record.reference),
            _ANEW if new_segment else _CONTINUED,
        )
        return [block for outcomes in closed for _, block in outcomes]

    def snapshot(self) -> bytes:
        """Return the whole state: `restore` then `update` gives the same to the last bit."""
        alone = self.fleet if len(self.fleet) == 1 else EstimatorFleet.joined([(self.fleet, self.place)])
        return alone.snapshot()

    @classmethod
    def restore(cls, data: bytes, settings: OnlineSettings | None = None) -> OnlineEstimator:
        """Return the estimator that `snapshot` wrote; raise `InvalidData` if it cannot be read.

        With `settings`, these instead of its own hold from now on: what a certificate says may have changed since.
        """
        fleet = EstimatorFleet.restore(data, settings)
        if len(fleet) != 1:
            raise InvalidData(f"this is a snapshot of {len(fleet)} estimators, not of one")
        return cls(fleet.model, int(fleet.dt_ns[0]), fleet=fleet)
