"""What a scenario says of the dynamics of a sensor or of a reference: kind, parameters, and how these change."""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.domain.time import DurationNs, duration
from simulators.physics.dynamics import Form, form_of, is_stable, names_of
from simulators.physics.laws import Parameterisation
from simulators.physics.sensor import Dynamics
from simulators.scenarios.drift_settings import DriftSpec

DELAY: Final = "delay_s"
"""Name of the dead time among an instrument's parameters."""

Laws = list[DriftSpec]


def form(model: ModelKind, parameters: dict[str, float], indications: tuple[float, float] | None) -> Form:
    """Return the form of the dynamics. Raises `InvalidData` if the parameters make none."""
    return form_of(model, parameters, indications)


def theta0(form: Form, parameters: dict[str, float]) -> FloatArray:
    """Return the parameters in the form's order, shape (p,); dead time is none of them."""
    return np.array([parameters[name] for name in names_of(form)])


def delay_ns(parameters: dict[str, float]) -> DurationNs:
    """Return the dead time [ns]."""
    return duration(parameters.get(DELAY, 0.0))


def check(model: ModelKind, parameters: dict[str, float], drift: Laws, indications: tuple[float, float] | None) -> None:
    """Raise `ValueError`, in the terms of the file, unless the parameters make a sensor that comes to rest."""
    try:
        made = form(model, parameters, indications)
        names = names_of(made)
    except InvalidData as error:
        raise ValueError(str(error)) from error
    if set(parameters) - {DELAY} != set(names):
        raise ValueError(
            f"parameters of {model} are {', '.join(names)} and, if you like, {DELAY}, not {', '.join(parameters)}"
        )
    for name, value in parameters.items():
        may_be_any = name[0] in "bc" and name[1:2].isdigit()  # zeros may lie anywhere, and so may characteristics
        if not (abs(value) < float("inf") if may_be_any else 0 < value < float("inf")):
            raise ValueError(f"parameters.{name} = {value} must be finite{'' if may_be_any else ' and positive'}")
    if not is_stable(made, theta0(made, parameters)[None, :]):
        static = model is ModelKind.STATIC
        raise ValueError(
            "parameters: two indications belong to one measurand within indications: the polynomial must be monotone"
            if static
            else "parameters: the sensor is not stable"
        )
    for law in drift:
        if law.parameter not in names:
            raise ValueError(f"drift.parameter = {law.parameter!r}: {model} has {', '.join(names)}")


def dynamics(
    model: ModelKind, parameters: dict[str, float], drift: Laws, indications: tuple[float, float] | None
) -> Dynamics:
    """Return the instrument; what is not consistent has been refused by `check`."""
    made = form(model, parameters, indications)
    names = names_of(made)
    laws = tuple(law.law(names.index(law.parameter)) for law in drift)
    return Dynamics(made, Parameterisation(theta0(made, parameters), laws), delay_ns(parameters))
