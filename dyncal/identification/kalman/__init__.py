"""The full Kalman likelihood: sensor and reference as two noisy measurements of one random measurand."""

from __future__ import annotations

from dyncal.identification.kalman.fit import fit_kalman
from dyncal.identification.kalman.measurand import Process
from dyncal.identification.kalman.result import KalmanFit
from dyncal.identification.kalman.settings import KalmanSettings

__all__ = ["KalmanFit", "KalmanSettings", "Process", "fit_kalman"]
