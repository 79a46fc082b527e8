"""Schedules and static calibrations: do 95 % intervals cover?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from dyncal.domain.coefficients import Parameters
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.models.axes import Axis, Transform
from dyncal.models.schedule_fit import CalibrationAt, ScheduleSettings, fit_schedule
from dyncal.models.static_fit import Pairs, StaticSettings, fit_static
from tests.evidence import Figure, coverage
from tests.statistical.harness import Experiment

K95 = 1.959964
NAMES = ("gain", "tau_s")
TEMPERATURE, FLOW = Axis("temperature_degc"), Axis("flow_m_per_s", Transform.LOG)
ASKED = ((25.0, 0.4), (60.0, 1.0), (115.0, 2.6))
"""Conditions at which the schedules are asked: temperature [°C], flow [m/s]."""
U_TEMPERATURE, U_FLOW = 0.5, 0.02
BEND = {"curved": 0.3, "nearly straight": 0.02}


def truth(temperature: FloatArray, flow: FloatArray, bend: float) -> tuple[FloatArray, FloatArray]:
    """Return gain and ln τ of a sensor in a stream: film theory's flow to the -0.6, oil's viscosity, a warm gain."""
    t = (temperature - 70) / 50
    return 1.02 + 0.01 * t, np.log(0.8) - 0.6 * np.log(flow) - 0.2 * t + bend * t**2


def one_condition(seed: int, *, settings: ScheduleSettings, bend: float, scatter: float = 0.0) -> FloatArray:
    """Return standardised errors of gain and ln τ at three temperatures that are known to 0.5 K."""
    rng = np.random.default_rng(seed)
    at = np.linspace(20.0, 120.0, 9)
    made = []
    for nominal in at.tolist():
        actual = nominal + U_TEMPERATURE * rng.normal()
        made.append(_calibration(rng, {"temperature_degc": nominal}, actual, 1.0, bend, scatter))
    schedule = fit_schedule([TEMPERATURE], made, settings)
    errors = []
    for nominal, _ in ASKED:
        actual = nominal + U_TEMPERATURE * rng.normal()
        got = schedule.at({"temperature_degc": nominal}, {"temperature_degc": U_TEMPERATURE})
        gain, log_tau = truth(np.array(actual), np.array(1.0), bend)
        lack = scatter * rng.normal()
        errors += _standardised(got, float(gain), float(log_tau) + lack)
    return np.array(errors)


def two_conditions(seed: int, *, settings: ScheduleSettings) -> FloatArray:
    """Return the same for temperature and flow at once."""
    rng = np.random.default_rng(seed)
    made = []
    for temperature in (20.0, 50.0, 90.0, 120.0):
        for flow in (0.3, 0.8, 3.0):
            actual = temperature + U_TEMPERATURE * rng.normal(), flow * (1 + U_FLOW * rng.normal())
            nominal = {"temperature_degc": temperature, "flow_m_per_s": flow}
            made.append(_calibration(rng, nominal, *actual, 0.1, 0.0))
    schedule = fit_schedule([TEMPERATURE, FLOW], made, settings)
    errors = []
    for temperature, flow in ASKED:
        u = {"temperature_degc": U_TEMPERATURE, "flow_m_per_s": U_FLOW * flow}
        got = schedule.at({"temperature_degc": temperature, "flow_m_per_s": flow}, u)
        actual = temperature + U_TEMPERATURE * rng.normal(), flow * (1 + U_FLOW * rng.normal())
        gain, log_tau = truth(np.array(actual[0]), np.array(actual[1]), 0.1)
        errors += _standardised(got, float(gain), float(log_tau))
    return np.array(errors)


def _calibration(
    rng: np.random.Generator, nominal: dict[str, float], temperature: float, flow: float, bend: float, scatter: float
) -> CalibrationAt:
    gain, log_tau = truth(np.array(temperature), np.array(flow), bend)
    u = np.array([0.003, 0.01])
    cov = u[:, None] * np.array([[1.0, 0.6], [0.6, 1.0]]) * u
    error = np.linalg.cholesky(cov) @ rng.normal(size=2)
    tau = float(np.exp(log_tau + error[1] + scatter * rng.normal()))
    scale = np.array([1.0, tau])
    parameters = Parameters(
        ModelKind.FIRST_ORDER, NAMES, np.array([float(gain) + error[0], tau]), scale[:, None] * cov * scale
    )
    known = {"temperature_degc": U_TEMPERATURE, "flow_m_per_s": U_FLOW * nominal.get("flow_m_per_s", 0.0)}
    return CalibrationAt(nominal, parameters, {name: known[name] for name in nominal})


def _standardised(got: Parameters, gain: float, log_tau: float) -> list[float]:
    u = got.u / np.array([1.0, got.values[1]])
    return [(got.values[0] - gain) / float(u[0]), (np.log(got.values[1]) - log_tau) / float(u[1])]


def judge_schedule(results: FloatArray) -> Sequence[Figure]:
    """Return the coverage of both parameters over the conditions that were asked."""
    inside = np.abs(results) <= K95
    # trials count, not answers: answers of one trial share its calibrations
    return [
        *(coverage(f"{name} at {t:g} °C: 95 % intervals cover", inside[:, 2 * k + i])
          for k, (t, _) in enumerate(ASKED) for i, name in enumerate(NAMES)),
    ]  # fmt: skip


INDICATIONS = np.array([4.5, 9.0, 15.5])
"""Of a pressure transmitter [mA], at which a static calibration is asked."""


def static(seed: int, *, settings: StaticSettings, bend: float, u_y: float, u_x: float) -> FloatArray:
    """Return standardised errors of measurands, known indications, for pairs with uncertainty in both."""
    rng = np.random.default_rng(seed)
    true_y = np.linspace(4.0, 16.0, 11)
    u = np.full(true_y.size, u_x)
    # the reference's own error is the same for all pairs
    cov_x = np.diag(u**2) + (0.5 * u_x) ** 2
    x = characteristic(true_y, bend) + u * rng.normal(size=u.size) + 0.5 * u_x * rng.normal()
    y = true_y + u_y * rng.normal(size=u.size)
    found = fit_static(Pairs(y, x, u_y, cov_x), settings)
    shown = INDICATIONS + u_y * rng.normal(size=INDICATIONS.size)
    got, u_got = found.measurand(shown, u_y)
    forth = (got - characteristic(INDICATIONS, bend)) / u_got
    back, u_back = found.indication(characteristic(INDICATIONS, bend))
    return np.concatenate([forth, (back - INDICATIONS) / u_back])


def characteristic(y: FloatArray, bend: float) -> FloatArray:
    """Return the pressure [bar] that belongs to a current [mA]."""
    t = (y - 10) / 6
    return 5 + 5 * t + bend * t**2


def judge_static(results: FloatArray) -> Sequence[Figure]:
    """Return the coverage of measurands and of the inverse at three points."""
    inside = np.abs(results) <= K95
    n = INDICATIONS.size
    return [
        *(coverage(f"measurand at {y:g} mA: 95 % intervals cover", inside[:, k]) for k, y in enumerate(INDICATIONS)),
        *(
            coverage(f"indication at {y:g} mA: 95 % intervals cover", inside[:, n + k])
            for k, y in enumerate(INDICATIONS)
        ),
    ]


FIXED, CHOSEN = ScheduleSettings(degree={"gain": 1, "tau_s": 2}), ScheduleSettings()
EXPERIMENTS = (
    Experiment("schedule: degrees given", partial(one_condition, settings=FIXED, bend=0.3), judge_schedule, 2000, 60),
    *(
        Experiment(f"schedule: degrees chosen, {label}", partial(one_condition, settings=CHOSEN, bend=bend),
                   judge_schedule, 2000, 60)
        for label, bend in BEND.items()
    ),
    Experiment("schedule: scatter between calibrations of 5 u",
               partial(one_condition, settings=FIXED, bend=0.3, scatter=0.05), judge_schedule, 2000, 30),
    Experiment("schedule: temperature and flow", partial(two_conditions, settings=FIXED), judge_schedule, 2000, 30),
    *(
        Experiment(f"static calibration: {label}",
                   partial(static, settings=StaticSettings(degree=degree), bend=bend, u_y=u_y, u_x=u_x),
                   judge_static, 2000, 60)
        for label, degree, bend, u_y, u_x in (
            ("degree given, u in both", 2, 0.3, 0.05, 0.03),
            ("degree chosen, curved", None, 0.3, 0.05, 0.03),
            ("degree chosen, nearly straight", None, 0.03, 0.02, 0.02),
            ("straight line, u of the indication alone", 1, 0.0, 0.1, 1e-6),
        )
    ),
)  # fmt: skip
