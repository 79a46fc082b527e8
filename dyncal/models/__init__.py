"""Sensor models: frequency response, exact discretisation, analytic Jacobians."""

from __future__ import annotations

from dyncal.domain.errors import InvalidData
from dyncal.domain.sensors import ModelKind
from dyncal.models.base import Discretisation, Hold, SensorModel
from dyncal.models.first_order import FirstOrder
from dyncal.models.lead_lag import LeadLag
from dyncal.models.second_order import SecondOrder

__all__ = ["Discretisation", "Hold", "SensorModel", "model_of"]

_MODELS: dict[ModelKind, SensorModel] = {model.kind: model for model in (FirstOrder(), SecondOrder(), LeadLag())}


def model_of(kind: ModelKind) -> SensorModel:
    """Return the model of a kind.

    Raises
    ------
    InvalidData
        If dyncal has no such model yet.
    """
    try:
        return _MODELS[kind]
    except KeyError:
        known = ", ".join(_MODELS)
        raise InvalidData(f"there is no sensor model of kind {kind!r}; there are {known}") from None
