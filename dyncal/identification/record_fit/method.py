"""Which likelihood fits a record: rules that can be read, and said with the result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.identification.record_fit.gain import one_interval
from dyncal.identification.record_fit.settings import Method
from dyncal.models import SensorModel

WHITE: Final = 1e-3
"""A Ljung-Box p-value below it is no accident."""
NO_INPUT_NOISE: Final = 2.7
"""Twice a log-likelihood ratio: of records without such noise 5 % are above it."""
INPUT_NOISE: Final = 10.0
"""Above it there is such noise; between the two it can neither be shown nor be ruled out."""
MOST_GAIN: Final = 0.2
MOST_COARSE: Final = 0.1
"""Sampling interval over the shortest time constant."""
LEAST_MEMORIES: Final = 100.0
"""Record over the longest time constant: below it the innovations form claims 5 to 15 % too little uncertainty."""
_MOST_SHARE: Final = 0.05
_MOST_BIAS: Final = 0.1  # standard uncertainties
_EXACT: Final = 1e-9


@dataclass(frozen=True, slots=True)
class OutputErrorSays:
    """What the output-error fit shows of a record.

    Attributes
    ----------
    whiteness_p : float
        Of its residuals.
    input_noise : float
        By how much noise at the sensor's input would raise twice the log-likelihood.
    noise_std, spread : float
        Standard deviations of its residuals and of the indications.
    reference_std : float
        What the reference's own noise contributes to the residuals.
    n : int
    even : bool
        Whether the sampling is.
    coarseness : float
        Sampling interval over the shortest time constant.
    memories : float
        Length of the longest segment over the longest time constant.
    """

    whiteness_p: float
    input_noise: float
    noise_std: float
    spread: float
    reference_std: float
    n: int
    even: bool
    coarseness: float
    memories: float

    @property
    def exact(self) -> bool:
        """No noise at all but rounding."""
        return self.noise_std <= _EXACT * self.spread

    @property
    def reference_matters(self) -> bool:
        """Whether the stated noise of the reference is more than output error can ignore.

        It biases θ by (share of the residual variance)·(noise/signal)·√n standard uncertainties.
        """
        share = (self.reference_std / max(self.noise_std, 1e-300)) ** 2
        pull = share * self.noise_std / max(self.spread, 1e-300) * np.sqrt(self.n)
        return share > _MOST_SHARE or bool(pull > _MOST_BIAS)


def by_output_error(says: OutputErrorSays) -> str:
    """Return why output error is right, or an empty string."""
    if says.exact:
        return "the model explains the indications but for rounding"
    if says.reference_matters or not says.whiteness_p >= WHITE or says.input_noise > NO_INPUT_NOISE:
        return ""
    return (
        f"its residuals are white (p = {says.whiteness_p:.2g}), no noise at the sensor's input shows, and the "
        "reference's noise is negligible"
    )


def between_both(says: OutputErrorSays) -> str:
    """Return why the innovations form is right although output error nearly is, or an empty string.

    It contains output error: where there is no noise at the input it costs nothing, and where there is it is honest.
    """
    white = says.whiteness_p >= WHITE and not says.reference_matters
    if white and says.even and says.input_noise <= INPUT_NOISE:
        return (
            f"noise at the sensor's input is neither shown nor ruled out (2 ln L {says.input_noise:.1f} better with it)"
        )
    return ""


def against_innovations(says: OutputErrorSays) -> str:
    """Return why the innovations form need not be tried, or an empty string."""
    if says.reference_matters:
        return "the reference's noise matters"
    if not says.even:
        return "the sampling is uneven"
    if says.coarseness > MOST_COARSE:
        return f"the interval is {says.coarseness:.2g} of the shortest time constant"
    if says.memories < LEAST_MEMORIES:
        return f"the record is no longer than {says.memories:.2g} time constants"
    return ""


def after_innovations(gain: float, whiteness_p: float) -> tuple[Method, str]:
    """Return the innovations form or the Kalman likelihood, with the reason; `gain` is c K, the share taken over."""
    if gain > MOST_GAIN:
        return Method.KALMAN, f"the innovation gain {gain:.2g} is above {MOST_GAIN}"
    if not whiteness_p >= WHITE:
        return Method.KALMAN, f"the innovations are not white (p = {whiteness_p:.1g})"
    return Method.INNOVATIONS, (
        f"output-error residuals are not white, the innovation gain is {gain:.2g} and the sampling is dense"
    )


def reference_noise(model: SensorModel, eta: FloatArray, h_s: float) -> float:
    """Return the standard deviation at the sensor's output for white noise of standard deviation 1 on the reference."""
    n = max(1, model.n_states)
    phi, p = one_interval(model, eta, h_s)
    for _ in range(60):
        p, phi = p + phi @ p @ phi.T, phi @ phi
        if float(np.abs(phi).max()) < 1e-12:
            break
    c = np.asarray(model.output)[:n]
    return float(np.sqrt(max(c @ p @ c, 0.0)))


def time_constants(model: SensorModel, eta: FloatArray) -> tuple[float, float]:
    """Return the shortest time that shapes the response and the longest that it remembers [s]."""
    if model.n_states == 0:
        return float("inf"), 0.0
    poles = np.linalg.eigvals(model.state_space(eta).a)
    return 1 / float(np.abs(poles).max()), 1 / max(float(np.abs(poles.real).min()), 1e-300)
