"""A zero offset, or a shift in time, between sensor and reference: when it matters, and how it is said.

Either goes into gain and lags where nobody asks for it, without a trace in the residuals. Record fits
(`record_fit.unstated`) and the online estimator (`online.shifts`) ask for both, and judge alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SURE: Final = 4.5
"""Standard uncertainties: by chance once in 150 000 fits."""
MATTERS: Final = 2.0
"""Standard uncertainties of a parameter that it moves."""
STATED: Final = 4.0
"""What is stated of an offset is exceeded by so much where it does not allow for it."""


@dataclass(frozen=True, slots=True)
class Shift:
    """An unknown that was not allowed for: of time [s] or of zero; its size with u.

    Attributes
    ----------
    clock : bool
        Of time: positive where the sensor is late; else of zero: positive where the reference reads too low.
    value, u : float
    moved : float
        By how many u of its estimate a parameter moves with it.
    """

    clock: bool
    value: float
    u: float
    moved: float

    def matters(self, stated: float) -> bool:
        """Tell whether it is certain, beyond what is stated of it (a standard uncertainty), and of any effect."""
        return abs(self.value) > max(SURE * self.u, STATED * stated) and self.moved > MATTERS

    @property
    def words(self) -> str:
        """What is to be said of it."""
        size = f"{abs(self.value):.3g} (u {self.u:.2g})"
        if self.clock:
            later = "sensor" if self.value > 0 else "reference"
            why = "clocks that are apart (state u_clock_s), a dead time, or another course between samples"
            return f"the {later} seems {size} s late: {why}"
        lower = "reference" if self.value > 0 else "sensor"
        why = "a zero offset that nothing allows for (u_reference)"
        return f"the {lower} reads too low by {size} of the measurand: {why}"


def surest(shifts: list[Shift]) -> Shift:
    """Return the one of most standard uncertainties."""
    return max(shifts, key=lambda each: abs(each.value) / each.u)
