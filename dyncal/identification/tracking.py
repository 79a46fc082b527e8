"""The state of an estimator that has found a first estimate."""

from __future__ import annotations

from dataclasses import dataclass

from dyncal.identification import report
from dyncal.identification.block import Start
from dyncal.identification.posterior import Posterior


@dataclass(frozen=True, slots=True, eq=False)
class Edge:
    """The newest sample of the last block and the state there; `begin` is None where a segment begins."""

    t_ns: int
    y: float
    r: float
    begin: Start | None


@dataclass(frozen=True, slots=True, eq=False)
class Tracking:
    """An estimate that is being followed."""

    posterior: Posterior
    edge: Edge
    residuals: report.Residuals
    window: report.Window
    n_rejected: int = 0
