"""Compiled passes over blocks: what `dyncal.identification.online.block` and the fleet evaluate."""

from __future__ import annotations

from dyncal.identification.online.passes.blocks import fit_blocks
from dyncal.identification.online.passes.evidence import (
    STILL,
    SURELY,
    at_rest,
    excess,
    motion,
    saturated,
    stuck,
    unexplained,
)
from dyncal.identification.online.passes.gain import innovation_gain
from dyncal.identification.online.passes.layout import (
    CLIPPED,
    CLOCK,
    CODES,
    CONVERGED,
    KAPPA,
    LAGS,
    LJUNG_BOX,
    MOTION,
    N_RESULT,
    NO_NOISE,
    NOISE_SHARE,
    OFFSET,
    POWER,
    REPEATED,
    ROWS,
    SSE,
    UNEXPLAINED,
)
from dyncal.identification.online.passes.recursion import evaluate
from dyncal.identification.online.passes.reference import prepare
from dyncal.identification.online.passes.steps import discretise

__all__ = [
    "CLIPPED",
    "CLOCK",
    "CODES",
    "CONVERGED",
    "KAPPA",
    "LAGS",
    "LJUNG_BOX",
    "MOTION",
    "NOISE_SHARE",
    "NO_NOISE",
    "N_RESULT",
    "OFFSET",
    "POWER",
    "REPEATED",
    "ROWS",
    "SSE",
    "STILL",
    "SURELY",
    "UNEXPLAINED",
    "at_rest",
    "discretise",
    "evaluate",
    "excess",
    "fit_blocks",
    "innovation_gain",
    "motion",
    "prepare",
    "saturated",
    "stuck",
    "unexplained",
]
