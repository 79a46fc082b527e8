"""Online identification of many sensors of one kind at once."""

from __future__ import annotations

from dyncal.identification.online.fleet.fleet import EstimatorFleet
from dyncal.identification.online.fleet.outcomes import Outcomes

__all__ = ["EstimatorFleet", "Outcomes"]
