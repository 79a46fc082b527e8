"""Dynamic calibration of industrial sensors, while the plant runs.

``from dyncal import fit_record, design, correct``: what a notebook needs, loaded when it is first asked for, so that a
light edge that imports `dyncal` gets none of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dyncal.certificates.calibration import certificate_of
    from dyncal.certificates.certified import certified
    from dyncal.certificates.reader import read_certificate
    from dyncal.certificates.responses import frequency_points
    from dyncal.certificates.writer import write_certificate
    from dyncal.correction.budget import Budget, budget
    from dyncal.correction.design.spectrum import MeasurandSpectrum, fit_spectrum, from_bandwidth
    from dyncal.correction.design.wiener import Design, design
    from dyncal.correction.forms import correct_at
    from dyncal.correction.smoother.build import build_smoother
    from dyncal.correction.smoother.design import SmootherDesign, design_smoother
    from dyncal.correction.smoother.likelihood import fit_measurand
    from dyncal.correction.smoother.stream import StreamingSmoother
    from dyncal.correction.streaming.record import correct
    from dyncal.correction.streaming.stream import StreamingCorrector
    from dyncal.correction.uncertain.bank import FilterBank
    from dyncal.correction.uncertain.nonrecursive import UncertainFIR
    from dyncal.correction.uncertain.recursive import UncertainIIR
    from dyncal.domain.calibration import Verdict
    from dyncal.domain.coefficients import CorrectionFilter, CorrectionSmoother, Parameters
    from dyncal.domain.errors import InvalidData
    from dyncal.domain.sensors import ModelKind
    from dyncal.drift import DriftMonitor, DriftSettings
    from dyncal.identification.frequency_response import FrequencyFit, FrequencyPoints, fit_frequency_response
    from dyncal.identification.in_situ import (
        CrossRelationSettings,
        LoopCurrentSettings,
        PairRecord,
        StepRecord,
        fit_cross_relation,
        fit_loop_current,
    )
    from dyncal.identification.online import OnlineEstimator
    from dyncal.identification.online.fleet.fleet import EstimatorFleet
    from dyncal.identification.record_fit import RecordFit, RecordSettings, choose_model, fit_record
    from dyncal.identification.records import AlignedRecord, Estimate
    from dyncal.identification.settings import OnlineSettings
    from dyncal.models import Delayed, Hold, Rational, Static, model_of, named_model
    from dyncal.models.axes import Axis
    from dyncal.models.schedule import ParameterSchedule
    from dyncal.models.schedule_fit import CalibrationAt, fit_schedule
    from dyncal.models.static_fit import Pairs, fit_static
    from dyncal.uncertainty import correction_monte_carlo, monte_carlo, validate

__version__ = "0.1.0"

_HOMES: Final = {
    "AlignedRecord": "dyncal.identification.records",
    "Axis": "dyncal.models.axes",
    "Budget": "dyncal.correction.budget",
    "CalibrationAt": "dyncal.models.schedule_fit",
    "CorrectionFilter": "dyncal.domain.coefficients",
    "CorrectionSmoother": "dyncal.domain.coefficients",
    "CrossRelationSettings": "dyncal.identification.in_situ",
    "Delayed": "dyncal.models",
    "Design": "dyncal.correction.design.wiener",
    "DriftMonitor": "dyncal.drift",
    "DriftSettings": "dyncal.drift",
    "Estimate": "dyncal.identification.records",
    "EstimatorFleet": "dyncal.identification.online.fleet.fleet",
    "FilterBank": "dyncal.correction.uncertain.bank",
    "FrequencyFit": "dyncal.identification.frequency_response",
    "FrequencyPoints": "dyncal.identification.frequency_response",
    "Hold": "dyncal.models",
    "InvalidData": "dyncal.domain.errors",
    "LoopCurrentSettings": "dyncal.identification.in_situ",
    "MeasurandSpectrum": "dyncal.correction.design.spectrum",
    "ModelKind": "dyncal.domain.sensors",
    "OnlineEstimator": "dyncal.identification.online",
    "OnlineSettings": "dyncal.identification.settings",
    "PairRecord": "dyncal.identification.in_situ",
    "Pairs": "dyncal.models.static_fit",
    "ParameterSchedule": "dyncal.models.schedule",
    "Parameters": "dyncal.domain.coefficients",
    "Rational": "dyncal.models",
    "RecordFit": "dyncal.identification.record_fit",
    "RecordSettings": "dyncal.identification.record_fit",
    "SmootherDesign": "dyncal.correction.smoother.design",
    "Static": "dyncal.models",
    "StepRecord": "dyncal.identification.in_situ",
    "StreamingCorrector": "dyncal.correction.streaming.stream",
    "StreamingSmoother": "dyncal.correction.smoother.stream",
    "UncertainFIR": "dyncal.correction.uncertain.nonrecursive",
    "UncertainIIR": "dyncal.correction.uncertain.recursive",
    "Verdict": "dyncal.domain.calibration",
    "budget": "dyncal.correction.budget",
    "build_smoother": "dyncal.correction.smoother.build",
    "certificate_of": "dyncal.certificates.calibration",
    "certified": "dyncal.certificates.certified",
    "choose_model": "dyncal.identification.record_fit",
    "correct": "dyncal.correction.streaming.record",
    "correct_at": "dyncal.correction.forms",
    "correction_monte_carlo": "dyncal.uncertainty",
    "design": "dyncal.correction.design.wiener",
    "design_smoother": "dyncal.correction.smoother.design",
    "fit_cross_relation": "dyncal.identification.in_situ",
    "fit_frequency_response": "dyncal.identification.frequency_response",
    "fit_loop_current": "dyncal.identification.in_situ",
    "fit_measurand": "dyncal.correction.smoother.likelihood",
    "fit_record": "dyncal.identification.record_fit",
    "fit_schedule": "dyncal.models.schedule_fit",
    "fit_spectrum": "dyncal.correction.design.spectrum",
    "fit_static": "dyncal.models.static_fit",
    "frequency_points": "dyncal.certificates.responses",
    "from_bandwidth": "dyncal.correction.design.spectrum",
    "model_of": "dyncal.models",
    "monte_carlo": "dyncal.uncertainty",
    "named_model": "dyncal.models",
    "read_certificate": "dyncal.certificates.reader",
    "validate": "dyncal.uncertainty",
    "write_certificate": "dyncal.certificates.writer",
}

__all__ = [
    "AlignedRecord",
    "Axis",
    "Budget",
    "CalibrationAt",
    "CorrectionFilter",
    "CorrectionSmoother",
    "CrossRelationSettings",
    "Delayed",
    "Design",
    "DriftMonitor",
    "DriftSettings",
    "Estimate",
    "EstimatorFleet",
    "FilterBank",
    "FrequencyFit",
    "FrequencyPoints",
    "Hold",
    "InvalidData",
    "LoopCurrentSettings",
    "MeasurandSpectrum",
    "ModelKind",
    "OnlineEstimator",
    "OnlineSettings",
    "PairRecord",
    "Pairs",
    "ParameterSchedule",
    "Parameters",
    "Rational",
    "RecordFit",
    "RecordSettings",
    "SmootherDesign",
    "Static",
    "StepRecord",
    "StreamingCorrector",
    "StreamingSmoother",
    "UncertainFIR",
    "UncertainIIR",
    "Verdict",
    "__version__",
    "budget",
    "build_smoother",
    "certificate_of",
    "certified",
    "choose_model",
    "correct",
    "correct_at",
    "correction_monte_carlo",
    "design",
    "design_smoother",
    "fit_cross_relation",
    "fit_frequency_response",
    "fit_loop_current",
    "fit_measurand",
    "fit_record",
    "fit_schedule",
    "fit_spectrum",
    "fit_static",
    "frequency_points",
    "from_bandwidth",
    "model_of",
    "monte_carlo",
    "named_model",
    "read_certificate",
    "validate",
    "write_certificate",
]


def __getattr__(name: str) -> object:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module 'dyncal' has no attribute {name!r}") from None
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
