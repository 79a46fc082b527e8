"""Identification in the plant without a reference."""

from __future__ import annotations

from dyncal.identification.in_situ.cross_relation import CrossRelationFit, CrossRelationSettings, fit_cross_relation
from dyncal.identification.in_situ.spectra import PairRecord

__all__ = ["CrossRelationFit", "CrossRelationSettings", "PairRecord", "fit_cross_relation"]
