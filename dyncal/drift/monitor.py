"""Drift: two-sided CUSUM on efficient block scores."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray


class DriftState(enum.StrEnum):
    """What can be said of a sensor."""

    LEARNING = "learning"
    IN_CONTROL = "in_control"
    DRIFT = "drift"
    CANNOT_TELL = "cannot_tell"


class BlockEvidence(Protocol):
    """What the monitor needs of a block (`dyncal.identification.records.BlockOutcome` has it)."""

    @property
    def to_ns(self) -> int: ...  # noqa: D102
    @property
    def excited(self) -> bool: ...  # noqa: D102
    @property
    def rejected(self) -> bool: ...  # noqa: D102
    @property
    def theta(self) -> FloatArray: ...  # noqa: D102
    @property
    def score(self) -> FloatArray: ...  # noqa: D102
    @property
    def information(self) -> FloatArray: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class DriftSettings:
    """Settings of `DriftMonitor`.

    Attributes
    ----------
    arl0_blocks : float
        Mean number of informative blocks between false alarms, over all parameters together: *the* setting.
    shift : float
        Change of a parameter, in standard uncertainties of one block, that is to be found fastest.
    training_blocks : int
        Informative blocks after which the baseline is frozen.
    learning_blocks : int
        Informative blocks before anything is said at all.
    minimum_change : float
        Relative change below which a finding, however significant, is no drift.
    idle_after_s : float
        Time without an informative block after which nothing can be told [s].
    """

    arl0_blocks: float = 100_000.0
    shift: float = 1.0
    training_blocks: int = 50
    learning_blocks: int = 6
    minimum_change: float = 0.02
    idle_after_s: float = 600.0

    def __post_init__(self) -> None:
        if not 10 <= self.arl0_blocks <= 1e9:
            raise InvalidData(f"arl0_blocks must lie between 10 and 1e9, not {self.arl0_blocks}")
        if not 0.1 <= self.shift <= 5:
            raise InvalidData(f"shift must lie between 0.1 and 5, not {self.shift}")
        if not 2 <= self.learning_blocks <= self.training_blocks:
            raise InvalidData("2 <= learning_blocks <= training_blocks must hold")
        if not 0 <= self.minimum_change < float("inf"):
            raise InvalidData("minimum_change must be finite and not negative")
        if not 0 < self.idle_after_s < float("inf"):
            raise InvalidData("idle_after_s must be finite and positive")


@dataclass(frozen=True, slots=True)
class DriftStatus:
    """What the monitor says after a block.

    Attributes
    ----------
    state : DriftState
    parameter : str
        The parameter furthest towards its limit.
    statistic, limit : float
        Its CUSUM and the decision interval h.
    change, u_change : float
        Estimated change of the parameter since the baseline, relative, and its standard uncertainty; NaN unless known.
    since_ns : int
        Instant since when the state (for drift: the change) stands.
    """

    state: DriftState
    parameter: str
    statistic: float
    limit: float
    change: float
    u_change: float
    since_ns: int


class DriftMonitor:
    """Judge a sensor's blocks against a frozen baseline."""

    def __init__(self, names: tuple[str, ...], settings: DriftSettings | None = None) -> None:
        self.names = names
        self.settings = settings or DriftSettings()

    def update(self, outcome: BlockEvidence) -> DriftStatus:
        """Take in a block and say how things stand."""
        raise NotImplementedError

    def rebaseline(self) -> None:
        """Begin anew: a calibration has been accepted, and its parameters are the normal from now on."""
        raise NotImplementedError

    def snapshot(self) -> bytes:
        """Return the whole state."""
        raise NotImplementedError

    @classmethod
    def restore(cls, data: bytes) -> DriftMonitor:
        """Return the monitor that `snapshot` wrote."""
        raise NotImplementedError
