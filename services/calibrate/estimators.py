"""Which estimator follows a sensor: the online one where it knows the model, record fits over windows elsewhere."""

from __future__ import annotations

from typing import Final, Protocol

from dyncal.domain.sensors import ModelKind, Pairing
from dyncal.identification.online import OnlineEstimator
from dyncal.identification.records import AlignedRecord, BlockOutcome, Estimate
from dyncal.identification.settings import OnlineSettings
from dyncal.models import paired_model
from services.calibrate.windowed import WindowedEstimator

_ONLINE: Final = (ModelKind.FIRST_ORDER, ModelKind.SECOND_ORDER, ModelKind.LEAD_LAG)


class Estimator(Protocol):
    """What follows the parameters of one sensor against its reference."""

    @property
    def settings(self) -> OnlineSettings:
        """What was set."""

    @property
    def estimate(self) -> Estimate | None:
        """What is known now; None before there was enough data to say anything."""

    def update(self, record: AlignedRecord, *, new_segment: bool = False) -> list[BlockOutcome]:
        """Take in `record`, which continues the last one unless `new_segment`; return the blocks it closed."""

    def snapshot(self) -> bytes:
        """Return the whole state."""


def settings_of(pairing: Pairing) -> OnlineSettings:
    """Return what the pairing says of the reference, as estimators take it."""
    return OnlineSettings(
        u_reference=pairing.u_reference,
        u_reference_noise=pairing.u_reference_noise or 0.0,
        u_reference_gain=pairing.u_reference_gain,
        u_clock_s=pairing.u_clock_s,
    )


def is_online(pairing: Pairing) -> bool:
    """Tell whether the online estimator knows the model of a pairing (ADR 0020)."""
    return pairing.model in _ONLINE and not pairing.dead_time


def estimator_of(pairing: Pairing, dt_ns: int) -> Estimator:
    """Return a fresh estimator."""
    if is_online(pairing):
        return OnlineEstimator(pairing.model, dt_ns, settings_of(pairing))
    return WindowedEstimator(paired_model(pairing), dt_ns, settings_of(pairing))


def restored(pairing: Pairing, data: bytes) -> Estimator:
    """Return the estimator of a snapshot; what the pairing says now counts, not what it said then.

    Raises
    ------
    InvalidData
        If it cannot be read.
    """
    if is_online(pairing):
        return OnlineEstimator.restore(data, settings_of(pairing))
    return WindowedEstimator.restore(data, paired_model(pairing), settings_of(pairing))
