"""The state of an estimator that has found a first estimate."""

from __future__ import annotations

from dataclasses import dataclass

from dyncal.identification import report
from dyncal.identification.block import Start
from dyncal.identification.interpolation import Interpolation
from dyncal.identification.posterior import Posterior


@dataclass(frozen=True, slots=True, eq=False)
class Tracking:
    """An estimate that is being followed.

    `begin` is the state at the newest sample of the last block; None where a segment begins.
    """

    posterior: Posterior
    begin: Start | None
    interpolation: Interpolation
    residuals: report.Residuals
    window: report.Window
    n_rejected: int = 0
    trouble: str = ""
