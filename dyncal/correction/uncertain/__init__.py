"""Streaming filters whose coefficients have a covariance: recursive, FIR, and banks of recursive ones."""

from __future__ import annotations

from dyncal.correction.uncertain.bank import FilterBank
from dyncal.correction.uncertain.nonrecursive import UncertainFIR
from dyncal.correction.uncertain.recursive import RecursiveFilter, UncertainIIR, prepare

__all__ = ["FilterBank", "RecursiveFilter", "UncertainFIR", "UncertainIIR", "prepare"]
