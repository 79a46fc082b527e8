"""Online identification: block-MAP in the innovations form."""

from __future__ import annotations

from dyncal.domain.sensors import ModelKind
from dyncal.identification.records import AlignedRecord, BlockOutcome, Estimate
from dyncal.identification.settings import OnlineSettings


class OnlineEstimator:
    """Follow the parameters of one sensor against its reference."""

    def __init__(self, model: ModelKind, dt_ns: int, settings: OnlineSettings | None = None) -> None:
        self.model = model
        self.dt_ns = dt_ns
        self.settings = settings or OnlineSettings()

    @property
    def estimate(self) -> Estimate | None:
        """What is known now; None before there was enough data to say anything."""
        raise NotImplementedError

    def update(self, record: AlignedRecord, *, new_segment: bool = False) -> list[BlockOutcome]:
        """Take in `record`, which continues the last one unless `new_segment`; return the blocks it closed."""
        raise NotImplementedError

    def snapshot(self) -> bytes:
        """Return the whole state: `restore` then `update` gives the same to the last bit."""
        raise NotImplementedError

    @classmethod
    def restore(cls, data: bytes) -> OnlineEstimator:
        """Return the estimator that `snapshot` wrote."""
        raise NotImplementedError
