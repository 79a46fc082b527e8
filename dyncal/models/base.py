"""What every sensor model offers."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.domain.time import NS_PER_S, Int64Array
from dyncal.models.running import states

ComplexArray = npt.NDArray[np.complex128]


class Hold(enum.StrEnum):
    """What the measurand does between two instants."""

    ZERO = "zero"
    FIRST = "first"


@dataclass(frozen=True, slots=True, eq=False)
class Discretisation:
    """The exact solution over m intervals, n = max(2, n_states) states (a first-order model leaves the second at rest).

    ``x₊ = Φ x + Γ0 u + Γ1 u₊``, ``y = c x`` with the constant row c of `SensorModel.output`; derivatives with respect
    to the internal coordinates η.

    Attributes
    ----------
    phi : float64, shape (m, n, n)
    gamma : float64, shape (m, n, 2)
        Columns Γ0 and Γ1. Where the model has a feedthrough d, the state here is that of `StateSpace` plus e d u with
        c e = 1, so that Γ1 has a part also under a zero-order hold: the output jumps with the measurand.
    dphi, dgamma : float64, shapes (m, p, n, n) and (m, p, n, 2)
    """

    phi: FloatArray
    gamma: FloatArray
    dphi: FloatArray
    dgamma: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class StateSpace:
    """A continuous-time realisation, ``ẋ = A x + b u``, ``y = c x + d u``, with derivatives in η; n = n_states.

    The states are those of `Discretisation` (less a feedthrough); c does not depend on η.

    Attributes
    ----------
    a : float64, shape (n, n)
        [1/s].
    b : float64, shape (n,)
    c : float64, shape (n,)
    d : float
        Feedthrough; 0 for what rolls off.
    da : float64, shape (p, n, n)
    db : float64, shape (p, n)
    dd : float64, shape (p,)
    """

    a: FloatArray
    b: FloatArray
    c: FloatArray
    d: float
    da: FloatArray
    db: FloatArray
    dd: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Response:
    """An indication y, shape (N,), and ∂y/∂η, shape (N, p); p = 0 where no derivatives were asked for."""

    y: FloatArray
    dy: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """States x (N, n) of a `Discretisation` at N instants, and ∂x/∂η (N, p, n)."""

    x: FloatArray
    s: FloatArray


class ResponseModel(ABC):
    """A relation of indication to measurand with physical parameters θ and a frequency response H(j2πf; θ).

    Attributes
    ----------
    kind : ModelKind
    names : tuple of str
        Physical parameters, with their units; the first is the gain.
    positive : frozenset of str
        Parameters that no sensor has at or below zero: estimators take their logarithms.
    """

    kind: ClassVar[ModelKind]
    names: tuple[str, ...]
    positive: ClassVar[frozenset[str]] = frozenset({"tau_s", "tau1_s", "tau2_s", "damping", "f0_hz"})

    @property
    def n_parameters(self) -> int:
        """Number of parameters p."""
        return len(self.names)

    @property
    def label(self) -> str:
        """The model's name in tables."""
        return str(self.kind)

    @abstractmethod
    def frequency_response(self, theta: FloatArray, f_hz: FloatArray) -> ComplexArray:
        """Return H(j2πf) for frequencies f [Hz] of shape (n_f,)."""

    @abstractmethod
    def jacobian(self, theta: FloatArray, f_hz: FloatArray) -> ComplexArray:
        """Return ∂H/∂θ_i at frequencies f [Hz], shape (n_f, p)."""

    @abstractmethod
    def simulate_steps(self, theta: FloatArray, steps_ns: Int64Array, u: FloatArray, hold: Hold) -> FloatArray:
        """Return what `simulate` does for checked data: N - 1 steps between the instants [ns]."""

    def log_sensitivities(self, theta: FloatArray, f_hz: FloatArray) -> ComplexArray:
        """Return -∂ln H/∂θ_i at frequencies f [Hz], shape (n_f, p): what turns a corrected value into ∂û/∂θ_i."""
        h = self.frequency_response(theta, f_hz)
        return np.asarray(-self.jacobian(theta, f_hz) / h[:, None], dtype=np.complex128)

    def check(self, theta: FloatArray) -> FloatArray:
        """Return θ as float64 of shape (p,), finite; raise `InvalidData` otherwise."""
        values = np.asarray(theta, dtype=np.float64)
        if values.shape != (self.n_parameters,) or not bool(np.all(np.isfinite(values))):
            raise InvalidData(f"{self.kind} takes finite {', '.join(self.names)}, not {theta!r}")
        return values

    def check_physical(self, theta: FloatArray) -> FloatArray:
        """Return θ as `check` does; raise `InvalidData` also where no stable sensor has such parameters."""
        values = self.check(theta)
        wrong = [f"{n} {v}" for n, v in zip(self.names, values, strict=True) if n in self.positive and v <= 0]
        if wrong:
            raise InvalidData(f"{self.label}: must be positive: {', '.join(wrong)}")
        return values

    def simulate(self, theta: FloatArray, t_ns: Int64Array, u: FloatArray, hold: Hold = Hold.FIRST) -> FloatArray:
        """Return the indication at instants t [ns] for a measurand that is `u` there and follows `hold` between.

        The sensor has been at rest with ``u[0]`` before. Exact for any spacing of the instants.

        Parameters
        ----------
        t_ns : int64, shape (n,), strictly increasing
        u : float64, shape (n,), finite

        Raises
        ------
        InvalidData
            If shapes, order or values are not so.
        """
        steps, values = checked_record(t_ns, u)
        return self.simulate_steps(theta, steps, values, hold)


def checked_record(t_ns: Int64Array, u: FloatArray) -> tuple[Int64Array, FloatArray]:
    """Return the steps between instants [ns] and the measurand as float64; raise `InvalidData` where there is none."""
    values = np.asarray(u, dtype=np.float64)
    if t_ns.ndim != 1 or values.shape != t_ns.shape or t_ns.size == 0:
        raise InvalidData(f"{t_ns.shape} instants and {values.shape} values of the measurand do not go together")
    if not bool(np.all(np.isfinite(values))):
        raise InvalidData("the measurand must be finite")
    steps = np.diff(t_ns)
    if bool(np.any(steps <= 0)):
        raise InvalidData("instants must increase strictly")
    return steps, values


class SensorModel(ResponseModel):
    """A sensor's transfer function H(s; θ) in physical parameters θ, and in internal coordinates η for estimators.

    η[0] is the gain; the others are logarithms of what must be positive and, unchanged, what the output is linear in.

    Attributes
    ----------
    kind : ModelKind
    names : tuple of str
        Physical parameters, with their units.
    n_states : int
        Order of the model, 0 to 6.
    output : tuple of float
        Row c of the output equation, max(2, n_states) numbers.
    """

    n_states: int
    output: tuple[float, ...]

    def sensitivity_biquads(self, theta: FloatArray, dt_s: float) -> FloatArray:
        """Return S_i(z) with ∂û/∂θ_i = S_i û, rows b0 b1 b2 a1 a2, shape (p, 5): S_i = -∂ln H/∂θ_i discretised.

        docs/metrology.md, "Uncertainty"; Link & Elster, Meas. Sci. Technol. 20 (2009) 055104.

        Raises
        ------
        InvalidData
            If one biquad a parameter cannot do it (`log_sensitivities` are what a design fits more of them to).
        """
        raise InvalidData(f"{self.label}: there are no sensitivity biquads in closed form")

    @abstractmethod
    def to_internal(self, theta: FloatArray) -> FloatArray:
        """Return η for θ, shape (p,). Raises `InvalidData` for a θ that no sensor has."""

    @abstractmethod
    def from_internal(self, eta: FloatArray) -> FloatArray:
        """Return θ for η, shape (p,)."""

    @abstractmethod
    def internal_jacobian(self, eta: FloatArray) -> FloatArray:
        """Return ∂θ/∂η, shape (p, p)."""

    @abstractmethod
    def state_space(self, eta: FloatArray) -> StateSpace:
        """Return the realisation in continuous time that `discretise` solves, with derivatives in η."""

    @abstractmethod
    def discretise(self, eta: FloatArray, h_s: FloatArray, hold: Hold = Hold.FIRST) -> Discretisation:
        """Solve the model exactly over intervals h [s], shape (m,), with derivatives in η."""

    @abstractmethod
    def rest(self, eta: FloatArray) -> FloatArray:
        """Return the state of a sensor at rest with the measurand 1, shape (max(2, n_states),)."""

    def dead_time(self, eta: FloatArray) -> float:
        """Return T [s]: the sensor answers the measurand at t - T. 0 but for a `dyncal.models.Delayed` model."""
        return 0.0

    def respond(self, eta: FloatArray, t_ns: Int64Array, u: FloatArray, hold: Hold = Hold.FIRST) -> Response:
        """Return the indication that `simulate` gives, with its derivatives in η (the state at rest among them).

        Raises
        ------
        InvalidData
            As `simulate`, or if η is not of shape (p,) and finite.
        """
        steps, values = checked_record(t_ns, u)
        if np.shape(eta) != (self.n_parameters,) or not bool(np.all(np.isfinite(eta))):
            raise InvalidData(f"{self.label} has {self.n_parameters} finite internal coordinates, not {eta!r}")
        return self.respond_steps(eta, steps, values, hold, derivatives=True)

    def respond_steps(
        self, eta: FloatArray, steps_ns: Int64Array, u: FloatArray, hold: Hold, *, derivatives: bool
    ) -> Response:
        """Return what `respond` does for checked data, with derivatives only where they are asked for."""
        run = self.run(eta, steps_ns, u, hold, derivatives=derivatives)
        c = np.asarray(self.output)
        return Response(run.x @ c, run.s @ c)

    def run(self, eta: FloatArray, steps_ns: Int64Array, u: FloatArray, hold: Hold, *, derivatives: bool) -> Run:
        """Return the states at all instants, from rest."""
        intervals, index = np.unique(steps_ns, return_inverse=True)
        parts = self.discretise(eta, intervals / NS_PER_S, hold)
        x0 = self.rest(eta) * u[0]
        p = self.n_parameters if derivatives else 0
        s0 = self._rest_derivatives(eta)[:p] * u[0] if p else np.empty((0, x0.size))
        return Run(*states(parts.phi, parts.gamma, parts.dphi[:, :p], parts.dgamma[:, :p], index, u, x0, s0))

    def simulate_steps(  # noqa: D102
        self, theta: FloatArray, steps_ns: Int64Array, u: FloatArray, hold: Hold
    ) -> FloatArray:
        return self.respond_steps(self.to_internal(theta), steps_ns, u, hold, derivatives=False).y

    def _rest_derivatives(self, eta: FloatArray) -> FloatArray:
        """Return the derivatives of `rest`, shape (p, max(2, n_states)): A ẋ₀ = -(Ȧ x₀ + ḃ)."""
        system, n = self.state_space(eta), self.n_states
        slopes = np.zeros((self.n_parameters, max(2, n)))
        if n == 0:
            slopes[:, 0] = system.dd
            return slopes
        rest = np.linalg.solve(system.a, -system.b)
        slopes[:, :n] = -np.linalg.solve(system.a, (system.da @ rest + system.db).T).T + system.dd[:, None] * system.c
        return slopes
