"""Blocks of samples, corrected spans and gaps: what the edge produces and the store keeps."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dyncal.domain import quality
from dyncal.domain.errors import InvalidData
from dyncal.domain.quality import QualityRuns
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.domain.time import DurationNs, InstantNs, TimeAxis

FloatArray = npt.NDArray[np.float64]

MAX_BLOCK_SAMPLES = 65_536


@dataclass(frozen=True, slots=True, eq=False)
class CorrectedSpan:
    """Corrected values with their own time axis.

    A correction looks a declared number of samples ahead, so the newest corrected instant is older than the newest raw
    one. The span carries the instants that its values are *about*: value k estimates the measurand at ``axis.t_ns[k]``.

    Attributes
    ----------
    axis : TimeAxis
        Instants, length m. Every instant is that of a raw sample of this sensor, in this block or an earlier one.
    value, u : float64, shape (m,)
        Estimate of the measurand and its standard uncertainty (GUM), in the sensor's unit. NaN, both, where the
        corrector can say nothing (start-up, gap).
    set_id : str
        The coefficient set that made them.
    """

    axis: TimeAxis
    value: FloatArray
    u: FloatArray
    set_id: str

    def __post_init__(self) -> None:
        n = len(self.axis)
        if self.value.shape != (n,) or self.u.shape != (n,):
            raise InvalidData(f"a corrected span of {n} instants has values {self.value.shape} and u {self.u.shape}")
        if self.value.dtype != np.float64 or self.u.dtype != np.float64:
            raise InvalidData("corrected values and uncertainties must be float64")
        if n and np.fmin.reduce(self.u) < 0:  # NaN is none
            raise InvalidData("a standard uncertainty cannot be negative")

    def __len__(self) -> int:
        return len(self.axis)


@dataclass(frozen=True, slots=True, eq=False)
class SampleBlock:
    """A run of samples of one sensor, as the edge read it, and the corrected values that became ready with it.

    Attributes
    ----------
    sensor, edge : str
        Who was read, and by whom.
    epoch : int
        Identity of the edge's spool: a new spool (disk replaced) starts a new epoch, and `sequence` from 0 again.
    sequence : int
        Counts the blocks of this sensor in this epoch without a hole; survives restarts.
    axis : TimeAxis
        Source instants, length n.
    raw : float64, shape (n,)
        Indications in the sensor's unit; NaN where the source gave none (the quality says why).
    quality : runs of OPC UA status codes for the n samples
    u_t_ns : int
        Standard uncertainty of the instants [ns].
    server_ns : int, optional
        Instant that the server (OPC UA) gave the last sample.
    arrival_ns : int
        Instant at which the edge had the last sample.
    corrected : CorrectedSpan, optional
    replayed : bool
        Sent again from the spool after an interruption, not live.
    """

    sensor: SensorId
    edge: EdgeId
    epoch: int
    sequence: int
    axis: TimeAxis
    raw: FloatArray
    quality: QualityRuns
    arrival_ns: InstantNs
    u_t_ns: DurationNs = DurationNs(0)
    server_ns: InstantNs | None = None
    corrected: CorrectedSpan | None = None
    replayed: bool = False

    def __post_init__(self) -> None:
        n = len(self.axis)
        if not 1 <= n <= MAX_BLOCK_SAMPLES:
            raise InvalidData(f"a block holds 1 to {MAX_BLOCK_SAMPLES} samples, not {n}")
        if self.raw.shape != (n,) or self.raw.dtype != np.float64:
            raise InvalidData(f"raw must be float64 of shape ({n},), not {self.raw.dtype} of {self.raw.shape}")
        if self.sequence < 0 or self.u_t_ns < 0:
            raise InvalidData("sequence and u_t_ns cannot be negative")
        quality.check(self.quality, n)

    def __len__(self) -> int:
        return len(self.axis)


class GapCause(enum.StrEnum):
    """Why samples are missing."""

    SERVER_OVERFLOW = "server_overflow"
    CONNECTION_LOST = "connection_lost"
    SPOOL_CAPPED = "spool_capped"
    SPOOL_DAMAGED = "spool_damaged"
    SOURCE_SILENT = "source_silent"
    CLOCK_STEP = "clock_step"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Gap:
    """Samples that could not be had: recorded with their cause, never passed over in silence.

    The open interval (`after_ns`, `before_ns`) holds no sample; `n_lost` is None where the number cannot be known.
    """

    after_ns: InstantNs
    before_ns: InstantNs
    cause: GapCause
    n_lost: int | None = None

    def __post_init__(self) -> None:
        if self.before_ns < self.after_ns:
            raise InvalidData(f"a gap cannot end ({self.before_ns}) before it begins ({self.after_ns})")
        if self.n_lost is not None and self.n_lost < 0:
            raise InvalidData("a gap cannot have lost fewer than no samples")


@dataclass(frozen=True, slots=True)
class GapRecord:
    """A gap in the sequence of a sensor's blocks, as reliable as a block: spooled, sent, stored and committed like one.

    It takes the sequence numbers `sequence` to `last_sequence`: one where the source lost samples, more where a capped
    spool had to drop blocks that were numbered already. `refused` are numbers by which the edge knows again what
    it refused, should a source not have heard that it was told: at most `MAX_BLOCK_SAMPLES`.
    """

    sensor: SensorId
    edge: EdgeId
    epoch: int
    sequence: int
    last_sequence: int
    gap: Gap
    replayed: bool = False
    refused: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.sequence <= self.last_sequence:
            raise InvalidData(
                f"a gap record takes sequences upward from 0, not {self.sequence} to {self.last_sequence}"
            )


Record = SampleBlock | GapRecord
"""What travels from the edge to the store, numbered for each sensor."""


@dataclass(frozen=True, slots=True, eq=False)
class SampleSeries:
    """What a store returns for one sensor: rows merged on their instant, oldest first.

    Attributes
    ----------
    t_ns : int64, shape (n,), strictly increasing
    raw, corrected, u : float64, shape (n,)
        NaN where there is none at that instant.
    quality : uint32, shape (n,)
    set_index : int32, shape (n,)
        Position in `set_ids` of the set that made `corrected`; -1 where there is none.
    set_ids : tuple of str
    decimated : bool
        True where extremes stand for more samples than are shown.
    """

    t_ns: npt.NDArray[np.int64]
    raw: FloatArray
    corrected: FloatArray
    u: FloatArray
    quality: npt.NDArray[np.uint32]
    set_index: npt.NDArray[np.int32]
    set_ids: tuple[str, ...] = ()
    decimated: bool = False

    def __len__(self) -> int:
        return int(self.t_ns.size)
