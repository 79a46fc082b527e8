"""Programs and servers killed at random while devices send: what is missing, extra or altered in the end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Final

import numpy as np

from tests.outages.delivery import Say
from tests.outages.devices import Plan
from tests.outages.plant import VICTIMS, Plant

DOWN_S: Final = (0.1, 3.0)


class Kills:
    """Kills `n` times: victims in turn, each as often as any other, in random order, at random instants.

    Attributes
    ----------
    done : Counter of str
        How often each was killed.
    """

    def __init__(self, n: int, say: Say = lambda _: None) -> None:
        self._n, self._say = n, say
        self.done: Counter[str] = Counter()

    def __call__(self, plant: Plant, plan: Plan) -> None:
        """Kill while the devices send."""
        rng = np.random.default_rng([plan.seed, 1])
        began, share = time.monotonic(), plan.seconds / max(self._n, 1)
        for k, victim in enumerate(self._victims(rng)):
            # within its share of the time, so that the last one falls before the devices have ended
            time.sleep(max(0.0, began + (k + rng.uniform(0.0, 0.5)) * share - time.monotonic()))
            down_s = min(float(rng.uniform(*DOWN_S)), share / 2)
            self._say(f"{k + 1} of {self._n}: {victim} killed, {down_s:.1f} s down")
            plant.kill(victim, down_s)
            self.done[victim] += 1

    def _victims(self, rng: np.random.Generator) -> Iterator[str]:
        for k in range(self._n):
            if k % len(VICTIMS) == 0:
                order = rng.permutation(VICTIMS).tolist()
            yield order[k % len(VICTIMS)]
