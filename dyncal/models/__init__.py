"""Sensor models: frequency response, exact discretisation, analytic Jacobians."""

from __future__ import annotations

from dyncal.domain.errors import InvalidData
from dyncal.domain.sensors import ModelKind, Pairing
from dyncal.models.base import Discretisation, Hold, Response, ResponseModel, SensorModel, StateSpace
from dyncal.models.delayed import DELAY, Delayed
from dyncal.models.first_order import FirstOrder
from dyncal.models.lead_lag import LeadLag
from dyncal.models.rational import Rational
from dyncal.models.second_order import SecondOrder
from dyncal.models.static import Static

__all__ = [
    "DELAY",
    "Delayed",
    "Discretisation",
    "Hold",
    "Rational",
    "Response",
    "ResponseModel",
    "SensorModel",
    "StateSpace",
    "Static",
    "model_of",
    "named_model",
    "paired_model",
]

_MODELS: dict[ModelKind, SensorModel] = {model.kind: model for model in (FirstOrder(), SecondOrder(), LeadLag())}


def model_of(kind: ModelKind) -> SensorModel:
    """Return the model of a kind.

    Raises
    ------
    InvalidData
        If the kind alone does not say which model it is (rational: of what order; static: of what degree and range).
    """
    try:
        return _MODELS[kind]
    except KeyError:
        known = ", ".join(_MODELS)
        raise InvalidData(f"there is no sensor model of kind {kind!r}; there are {known}") from None


def named_model(kind: ModelKind, names: tuple[str, ...]) -> SensorModel:
    """Return the model of a kind that has these parameters: ``delay_s`` as the last name is a dead time.

    A static model is not among them: its range of indications is no parameter (`Static`).

    Raises
    ------
    InvalidData
        If no model of this kind has these parameters.
    """
    if names and names[-1] == DELAY:
        return Delayed(named_model(kind, names[:-1]))
    model: SensorModel = Rational.of_names(names) if kind is ModelKind.RATIONAL else model_of(kind)
    if model.names != tuple(names):
        raise InvalidData(f"a {kind} model has the parameters {', '.join(model.names)}, not {', '.join(names)}")
    return model


def paired_model(pairing: Pairing) -> SensorModel:
    """Return the model that a pairing wants identified."""
    core: SensorModel
    if pairing.model is ModelKind.RATIONAL:
        core = Rational(pairing.n_zeros, pairing.n_poles or 0)
    else:
        core = model_of(pairing.model)
    return Delayed(core) if pairing.dead_time else core
