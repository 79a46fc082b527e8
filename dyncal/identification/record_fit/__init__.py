"""Parameters from a calibration record with a reference: shock, step, sweep, PRBS, plant operation."""

from __future__ import annotations

from dyncal.identification.record_fit.choice import Choice, choose_model
from dyncal.identification.record_fit.fit import fit_record
from dyncal.identification.record_fit.result import Nuisance, RecordFit, Series
from dyncal.identification.record_fit.settings import InterSample, Method, RecordSettings

__all__ = [
    "Choice",
    "InterSample",
    "Method",
    "Nuisance",
    "RecordFit",
    "RecordSettings",
    "Series",
    "choose_model",
    "fit_record",
]
