"""What came of a hostile call, in words: `RIGHT`, a verdict with its reason, or the text of an `InvalidData`."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray

RIGHT = "^right$"
_LIMIT_S = 10.0  # of processor time, for each case


def said(call: Callable[[], Any], truth: FloatArray | None = None) -> str:
    """Return the outcome of a call; anything but an answer or `InvalidData` passes through."""
    began = time.process_time()
    try:
        answer = call()
    except InvalidData as refused:
        return f"refused: {refused}"
    finally:
        took = time.process_time() - began
        assert took < _LIMIT_S, f"{took:.1f} s"
    if answer is None:
        return "nothing"
    if not answer.accepted:
        return f"{answer.verdict}: {answer.detail}"
    if truth is None:
        return "right"
    z = (answer.parameters.values - truth) / answer.parameters.u
    sharp = np.all(answer.parameters.u < 0.3 * np.abs(truth))
    return "right" if np.all(np.abs(z) < 4) and sharp else f"wrong: {z} standard uncertainties off"


def holds(outcome: str, pattern: str) -> None:
    """Assert that an outcome says what it must."""
    assert re.search(pattern, outcome), outcome
