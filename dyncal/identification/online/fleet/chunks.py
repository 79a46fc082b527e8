"""What a fleet is given, chunks of samples, each of one sensor; and what can be made of how many of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dyncal.domain.calibration import Verdict
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.identification.interpolation import CONTEXT
from dyncal.identification.online.start import Refused
from dyncal.identification.settings import OnlineSettings


def check(
    n_sensors: int, sensors: Int64Array, offsets: Int64Array, t_ns: Int64Array, y: FloatArray, r: FloatArray
) -> None:
    """Raise `InvalidData` where shapes, types or numbers of sensors do not go together (`EstimatorFleet.ingest`)."""
    if sensors.dtype != np.int64 or offsets.dtype != np.int64 or t_ns.dtype != np.int64:
        raise InvalidData("numbers of sensors, offsets and instants must be int64")
    if y.dtype != np.float64 or r.dtype != np.float64 or not t_ns.shape == y.shape == r.shape or t_ns.ndim != 1:
        raise InvalidData("instants, indications and references must be of one shape, the latter two float64")
    if sensors.ndim != 1 or offsets.shape != (sensors.size + 1,):
        raise InvalidData(f"{sensors.shape} sensors and {offsets.shape} offsets do not go together")
    if offsets[0] < 0 or offsets[-1] > t_ns.size or bool(np.any(np.diff(offsets) < 0)):
        raise InvalidData("offsets must not decrease, and lie within the samples")
    if sensors.size and (sensors.min() < 0 or sensors.max() >= n_sensors):
        raise InvalidData(f"there are {n_sensors} sensors, and none of number {sensors.min()} or {sensors.max()}")
    if sensors.size > 1 and np.unique(sensors).size != sensors.size:
        raise InvalidData("a sensor has two chunks")


def lengths(
    settings: Sequence[OnlineSettings], dt_ns: Int64Array
) -> tuple[Int64Array, FloatArray, Int64Array, Int64Array]:
    """Return of n sensors, (n,) each, the longest block in samples and in time [ns], and the fewest samples of a block.

    The last are the fewest of all, and the fewest that the next block begins to be looked at with.
    """
    longest = np.array([s.max_block_samples for s in settings], dtype=np.int64)
    fewest = np.array([s.min_block_samples for s in settings], dtype=np.int64)
    shortest_ns = np.array([s.min_block_s * 1e9 for s in settings])
    shortest = np.maximum(fewest, np.minimum(np.ceil(shortest_ns / dt_ns), longest)).astype(np.int64)
    return longest, np.array([s.max_block_s * 1e9 for s in settings]), fewest, shortest


def holes(lost: int, short: int, fewest: int, shortest: int) -> Refused | None:
    """Say that no segment was ever long enough to begin with; None where none has ended yet.

    Parameters
    ----------
    lost, short : int
        Samples without a reference; segments that were too short.
    fewest, shortest : int
        See `lengths`.
    """
    if lost < fewest and not short:
        return None
    detail = f"{lost} samples without a reference, {short} segments of fewer than {shortest + 2 * CONTEXT} samples"
    return Refused(Verdict.BAD_DATA, f"{detail} between holes", final=False)
