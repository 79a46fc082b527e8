"""Streaming filters whose coefficients have a covariance: recursive, FIR, and banks of recursive ones."""

from __future__ import annotations

from dyncal.correction.bank import FilterBank
from dyncal.correction.nonrecursive import UncertainFIR
from dyncal.correction.recursive import RecursiveFilter, UncertainIIR, prepare

__all__ = ["FilterBank", "RecursiveFilter", "UncertainFIR", "UncertainIIR", "prepare"]
