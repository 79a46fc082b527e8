"""Drift: whether a sensor's transfer function still stands where it was calibrated."""

from __future__ import annotations

from dyncal.drift.monitor import DriftMonitor, DriftState, DriftStatus
from dyncal.drift.settings import DriftSettings

__all__ = ["DriftMonitor", "DriftSettings", "DriftState", "DriftStatus"]
