"""What a frequency-response fit is asked and what it answers."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from dyncal.domain.calibration import Verdict
from dyncal.domain.choices import choice
from dyncal.domain.coefficients import Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.identification.expected import check_ranges
from dyncal.models.base import ComplexArray, ResponseModel


class Criterion(enum.StrEnum):
    """By what models are compared; χ² is -2 ln L but for a constant, since the covariance of the points is known."""

    AICC = "AICc"
    BIC = "BIC"


class Birge(enum.StrEnum):
    """What to do with points that scatter more than they say.

    `NONE` leaves the covariance as the laboratories' uncertainties make it; `SCALE` multiplies it by χ²/ν where that is
    above 1 (Birge, Phys. Rev. 40 (1932) 207), and says so.
    """

    NONE = "none"
    SCALE = "scale"


@dataclass(frozen=True, slots=True)
class FrequencyFitSettings:
    """How to fit, to choose and to judge.

    Attributes
    ----------
    consistency_level : float
        A fit with a χ² p-value below it is inconsistent.
    max_birge : float
        Beyond this √(χ²/ν) enlarged uncertainties are no remedy, and the fit stays inconsistent.
    max_relative_u : float
        A parameter that is known less well than this, relative, is named unobservable.
    expected : mapping of parameter name to (lowest, highest)
        What a data sheet says, if anything does: the only guard against units that are wrong everywhere by 1000.
    diagnose : bool
        Try, where a fit is inconsistent, which mistake in a laboratory's data would explain it.
    """

    criterion: Criterion = Criterion.AICC
    consistency_level: float = 0.01
    birge: Birge = Birge.NONE
    max_birge: float = 3.0
    max_relative_u: float = 0.25
    expected: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    diagnose: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.consistency_level < 0.5:
            raise InvalidData(f"consistency_level lies between 0 and 0.5, not at {self.consistency_level}")
        object.__setattr__(self, "criterion", choice(Criterion, self.criterion, "criterion"))
        object.__setattr__(self, "birge", choice(Birge, self.birge, "birge"))
        if not 1 <= self.max_birge < float("inf"):
            raise InvalidData(f"max_birge is at least 1, not {self.max_birge}")
        if not 0 < self.max_relative_u < float("inf"):
            raise InvalidData(f"max_relative_u must be finite and positive, not {self.max_relative_u}")
        check_ranges(self.expected)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One row of the table of models: `verdict` and `detail` say why it is or is not eligible.

    `aicc` and `bic` are χ² + 2p + 2p(p + 1)/(n - p - 1) and χ² + p ln n for p parameters and n real values.
    """

    model: str
    n_parameters: int
    chi2: float
    dof: int
    p_value: float
    aicc: float
    bic: float
    verdict: Verdict
    unobservable: tuple[str, ...]
    detail: str


@dataclass(frozen=True, slots=True)
class LaboratoryResult:
    """What the fit says of one laboratory: its systematic errors with standard uncertainties, and its share of χ².

    The points of a laboratory are its `magnitude_factor` times the response, later by `offset_s`.
    """

    name: str
    n_points: int
    chi2: float
    magnitude_factor: float
    u_magnitude_factor: float
    offset_s: float
    u_offset_s: float


@dataclass(frozen=True, slots=True, eq=False)
class FrequencyFit:
    """The answer.

    Attributes
    ----------
    parameters : Parameters, optional
        θ̂ with covariance; None where there is none. Not to be used unless the verdict is `accepted`.
    model : ResponseModel, optional
        The model chosen.
    unobservable : tuple of str
        Parameters that these points do not determine, by name.
    birge_ratio : float
        √(χ²/ν), NaN for ν = 0.
    birge_applied : bool
        Whether the covariance was multiplied by its square.
    candidates : tuple of Candidate
        All models tried, the best first by the criterion.
    rule : str
        How the model was chosen, in words.
    detail : str
        For people: why the verdict is what it is.
    """

    verdict: Verdict
    parameters: Parameters | None
    model: ResponseModel | None
    unobservable: tuple[str, ...]
    chi2: float
    dof: int
    p_value: float
    birge_ratio: float
    birge_applied: bool
    laboratories: tuple[LaboratoryResult, ...]
    candidates: tuple[Candidate, ...]
    rule: str
    detail: str

    @property
    def accepted(self) -> bool:
        """Whether the parameters may be used."""
        return self.verdict is Verdict.ACCEPTED

    @property
    def consistent(self) -> bool:
        """Whether the points scatter about the model as their uncertainties say."""
        return self.parameters is not None and self.verdict is not Verdict.INCONSISTENT

    def response(self, f_hz: FloatArray) -> tuple[ComplexArray, FloatArray]:
        """Return the fitted response at frequencies (m,), and the covariance of (Re, Im), shape (m, 2, 2).

        Raises
        ------
        InvalidData
            If there is no fit.
        """
        if self.parameters is None or self.model is None:
            raise InvalidData(f"there is no fit: {self.detail}")
        f = np.asarray(f_hz, dtype=np.float64)
        jacobian = self.model.jacobian(self.parameters.values, f)
        parts = np.stack([jacobian.real, jacobian.imag], axis=1)
        cov = parts @ self.parameters.cov @ parts.swapaxes(1, 2)
        return self.model.frequency_response(self.parameters.values, f), cov

    def table(self) -> str:
        """Return the candidates as a table in plain text."""
        lines = [f"{'model':34} {'p':>2} {'chi2':>10} {'dof':>4} {'P':>8} {'AICc':>10} {'BIC':>10}  verdict"]
        lines += [
            f"{c.model:34} {c.n_parameters:2d} {c.chi2:10.2f} {c.dof:4d} {c.p_value:8.2g} {c.aicc:10.2f} {c.bic:10.2f}"
            f"  {c.verdict}{': ' if c.detail else ''}{c.detail}"
            for c in self.candidates
        ]
        return "\n".join(lines)
