"""Which check belongs to a set."""

from __future__ import annotations

from dyncal.correction.smoother.stream import StreamingSmoother
from dyncal.correction.streaming.corrector import Corrector
from dyncal.domain.coefficients import CoefficientSet, CorrectionSmoother
from edge_agent.innovations import InnovationMonitor
from edge_agent.residual import ResidualMonitor

Monitor = ResidualMonitor | InnovationMonitor


def monitor_of(coefficients: CoefficientSet, corrector: Corrector) -> Monitor:
    """Return the check of what `corrector` makes of a stream by a set."""
    correction = coefficients.correction
    if isinstance(corrector, StreamingSmoother) and isinstance(correction, CorrectionSmoother):
        return InnovationMonitor(corrector, correction.noise_std, coefficients.residual_limit)
    return ResidualMonitor(coefficients)
