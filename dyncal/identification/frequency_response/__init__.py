"""Parameters from frequency-response points, as laboratories deliver them."""

from __future__ import annotations

from dyncal.identification.frequency_response.fit import fit_frequency_response
from dyncal.identification.frequency_response.points import Form, FrequencyPoints, Magnitude, PhaseSign, PhaseUnit
from dyncal.identification.frequency_response.result import (
    Birge,
    Candidate,
    Criterion,
    FrequencyFit,
    FrequencyFitSettings,
    LaboratoryResult,
)

__all__ = [
    "Birge",
    "Candidate",
    "Criterion",
    "Form",
    "FrequencyFit",
    "FrequencyFitSettings",
    "FrequencyPoints",
    "LaboratoryResult",
    "Magnitude",
    "PhaseSign",
    "PhaseUnit",
    "fit_frequency_response",
]
