"""Identification in the plant without a reference."""

from __future__ import annotations

from dyncal.identification.in_situ.cross_relation import CrossRelationFit, CrossRelationSettings, fit_cross_relation
from dyncal.identification.in_situ.loop_current import (
    LoopCurrentFit,
    LoopCurrentSettings,
    StepRecord,
    fit_loop_current,
)
from dyncal.identification.in_situ.spectra import PairRecord

__all__ = [
    "CrossRelationFit",
    "CrossRelationSettings",
    "LoopCurrentFit",
    "LoopCurrentSettings",
    "PairRecord",
    "StepRecord",
    "fit_cross_relation",
    "fit_loop_current",
]
