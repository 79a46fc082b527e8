"""Online identification: estimators that follow the parameters of sensors, block by block.

`estimator`: one sensor. `fleet`: thousands of one kind. `start`: the first estimate. `block`: the fit of one block, in
plain Python. `passes`: the compiled passes over samples. `renewal`: what is forgotten and taken in with a block.
"""

from __future__ import annotations

from dyncal.identification.online.estimator import OnlineEstimator

__all__ = ["OnlineEstimator"]
