"""What can be set of the online estimator."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from dyncal.domain.choices import choice
from dyncal.domain.errors import InvalidData
from dyncal.identification.ranges import not_negative, positive


class Likelihood(enum.StrEnum):
    """How much of what the reference does not show of the measurand is modelled.

    `INNOVATIONS`: as white noise at the sensor's input; fast, and right for a good reference that is sampled often.
    `KALMAN`: the measurand itself, of which both are noisy measurements; right wherever the process chosen for it is.
    `AUTO`: innovations where the reference's noise is stated, and small, and an interval is short against the sensor's
    times (`fleet.full_likelihood.needed`); else Kalman.
    """

    AUTO = "auto"
    INNOVATIONS = "innovations"
    KALMAN = "kalman"


@dataclass(frozen=True, slots=True)
class OnlineSettings:
    """Settings of `OnlineEstimator`; every default is meant to be left alone in a plant.

    Attributes
    ----------
    u_reference : float
        Standard uncertainty of the reference, systematic part, in the sensor's unit.
    u_reference_noise : float
        Standard deviation of the reference's own white noise, in the sensor's unit; 0: not known, to be estimated.
    u_reference_gain : float
        Standard uncertainty of the reference's gain, relative.
    u_clock_s : float
        Standard uncertainty of the clock offset between sensor and reference [s].
    target_u : float
        A block closes when it determines the logarithm of the lag (or of the resonance) to this standard uncertainty by
        itself, relative.
    min_block_samples, min_block_s
        It does not close before it has this many samples and is this long.
    max_block_samples : int
        It closes as idle when it has this many samples and still says nothing; memory is bounded by it.
    max_block_s : float
        The same, in time [s].
    memory_blocks : float
        Excited blocks that the estimate remembers (information-scaled forgetting).
    max_relative_u : float
        A parameter that is known less well than this, relative, is named unobservable.
    likelihood : Likelihood
    """

    u_reference: float = 0.0
    u_reference_noise: float = 0.0
    u_reference_gain: float = 0.0
    u_clock_s: float = 0.0
    target_u: float = 0.03
    min_block_samples: int = 48
    min_block_s: float = 0.25
    max_block_samples: int = 8192
    max_block_s: float = 120.0
    memory_blocks: float = 60.0
    max_relative_u: float = 0.25
    likelihood: Likelihood = Likelihood.AUTO

    def __post_init__(self) -> None:
        not_negative(self, "u_reference", "u_reference_noise", "u_reference_gain", "u_clock_s", "min_block_s")
        positive(self, "target_u", "max_block_s", "memory_blocks", "max_relative_u")
        if not 16 <= self.min_block_samples <= self.max_block_samples <= 1_000_000:
            raise InvalidData("16 <= min_block_samples <= max_block_samples <= 1 000 000 must hold")
        object.__setattr__(self, "likelihood", choice(Likelihood, self.likelihood, "likelihood"))
