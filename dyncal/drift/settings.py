"""What can be set of drift detection."""

from __future__ import annotations

from dataclasses import dataclass

from dyncal.domain.errors import InvalidData


@dataclass(frozen=True, slots=True)
class DriftSettings:
    """Settings of `DriftMonitor`.

    Attributes
    ----------
    arl0_blocks : float
        Mean number of informative blocks between false alarms, over all parameters together: *the* setting.
    learning_blocks : int
        Informative blocks before anything is said at all.
    minimum_change : float
        Relative change below which a finding, however significant, is no drift.
    minimum_changes : pairs of str and float
        The same for single parameters, as their tolerances ask for.
    scales : pairs of str and float
        Sizes of parameters whose own value may be near 0, in their units: changes are relative to the larger of both.
        Without one, a parameter that is hardly to be told from 0 drifts where its change is significant.
    idle_after_s : float
        Time without an informative block after which nothing can be told [s].
    """

    arl0_blocks: float = 100_000.0
    learning_blocks: int = 6
    minimum_change: float = 0.05
    minimum_changes: tuple[tuple[str, float], ...] = ()
    scales: tuple[tuple[str, float], ...] = ()
    idle_after_s: float = 600.0

    def minimum_of(self, parameter: str) -> float:
        """Return the relative change of a parameter below which there is no drift."""
        return dict(self.minimum_changes).get(parameter, self.minimum_change)

    def check(self, names: tuple[str, ...]) -> None:
        """Raise InvalidData where anything is set of a parameter that is none of `names`."""
        for name, _ in (*self.minimum_changes, *self.scales):
            if name not in names:
                raise InvalidData(f"there is no parameter {name!r} to watch, only {', '.join(names)}")

    def __post_init__(self) -> None:
        if not 10 <= self.arl0_blocks <= 1e9:
            raise InvalidData(f"arl0_blocks must lie between 10 and 1e9, not {self.arl0_blocks}")
        if not self.learning_blocks >= 2:
            raise InvalidData(f"learning_blocks must be at least 2, not {self.learning_blocks}")
        if not 0 <= self.minimum_change < float("inf"):
            raise InvalidData("minimum_change must be finite and not negative")
        for name, value in self.minimum_changes:
            if not 0 <= value < float("inf"):
                raise InvalidData(f"the minimum change of {name} must be finite and not negative")
        for name, value in self.scales:
            if not 0 < value < float("inf"):
                raise InvalidData(f"the scale of {name} must be finite and positive")
        if not 0 < self.idle_after_s < float("inf"):
            raise InvalidData("idle_after_s must be finite and positive")
