"""Identification: from records to physical parameters with covariance and a verdict."""

from __future__ import annotations

from dyncal.identification.online import OnlineEstimator
from dyncal.identification.records import AlignedRecord, BlockOutcome, Estimate
from dyncal.identification.settings import OnlineSettings

__all__ = ["AlignedRecord", "BlockOutcome", "Estimate", "OnlineEstimator", "OnlineSettings"]
