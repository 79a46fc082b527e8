"""When to try again: exponential, with jitter, and not before the receiver says so (RFC 9110, 10.2.3)."""

from __future__ import annotations

import email.utils
import math
from typing import Final

import numpy as np

from dyncal.domain.time import NS_PER_S, InstantNs

FIRST_S: Final = 1.0
LONGEST_S: Final = 300.0
MOST_ASKED_S: Final = 6 * 3600.0


def delay_s(n_failed: int, rng: np.random.Generator) -> float:
    """Return the wait after `n_failed` (≥ 1) failures [s]: doubled each time up to a limit, less a random half of it.

    The jitter keeps many messages, and many senders, from coming back at one instant.
    """
    ceiling = min(LONGEST_S, FIRST_S * 2.0 ** min(n_failed - 1, 30))
    return ceiling * float(rng.uniform(0.5, 1.0))


def asked_s(retry_after: str | None, now: InstantNs) -> float | None:
    """Return what a ``Retry-After`` header asks for [s], bounded; None where there is none that can be read."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), MOST_ASKED_S)
    try:
        at = email.utils.parsedate_to_datetime(text)
        wait = at.timestamp() - now / NS_PER_S
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(wait, 0.0), MOST_ASKED_S) if math.isfinite(wait) else None
