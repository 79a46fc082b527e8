"""What a sensor's blocks say beyond drift itself: what has changed, and when a tolerance is left."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from dyncal.domain.errors import InvalidData
from dyncal.domain.health import Attribution, Outlook
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import DEFAULT_TOLERANCE
from dyncal.domain.time import duration
from dyncal.drift.attribution import Pair, attribute, common_of, settled
from dyncal.drift.following import Blocks
from dyncal.drift.forecast import forecast
from dyncal.drift.ledger import BlockLedger
from dyncal.drift.process import block_features, features
from dyncal.identification import AlignedRecord
from dyncal.identification.records import BlockOutcome
from dyncal.identification.series import BlockSeries
from services.calibrate.stages import Stage, stage
from services.calibrate.tolerance import Baseline

S = TypeVar("S", bound=np.generic)

_MOST_SAMPLES: Final = 20_000  # kept for the features of a block
_AGAIN_BLOCKS: Final = 10  # after which what could not be told is asked again
_ASKED_BLOCKS: Final = 64  # since the alarm, after which it is left at that
_FORETOLD_NS: Final = duration(30.0)


class Causes:
    """Keeps the blocks of one pair, and what was found in them; bounded."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.ledger = BlockLedger(len(names))
        self.attribution: Attribution | None = None
        self.outlook: tuple[Outlook, ...] = ()
        self._samples: deque[AlignedRecord] = deque()
        self._blocks = 0  # informative ones
        self._found_at: int | None = None  # number of them at the alarm
        self._asked_at: int | None = None
        self._theta: FloatArray | None = None
        self._foretold: tuple[int, int] = (0, 0)  # blocks then, and the instant

    def samples(self, record: AlignedRecord) -> None:
        """Take in samples, before the blocks that end in them."""
        self._samples.append(record)
        while len(self._samples) > 1 and sum(map(len, self._samples)) > _MOST_SAMPLES:
            self._samples.popleft()

    def block(self, outcome: BlockOutcome) -> None:
        """Take in a block."""
        found = np.stack([features(signal) for signal in self._within(outcome)])
        while self._samples and self._samples[0].t_ns[-1] <= outcome.to_ns:
            self._samples.popleft()
        if outcome.excited and not outcome.rejected:
            self.ledger.add(outcome, found)
            self._blocks += 1
            self._theta = outcome.theta

    def blocks(self, outcomes: BlockSeries, blocks: Blocks) -> None:
        """Take in informative blocks; `blocks` are the same as arrays."""
        parts = list(self._samples)
        if any(before.t_ns[-1] >= after.t_ns[0] for before, after in itertools.pairwise(parts)):  # a clock was put back
            for outcome in outcomes:
                self.block(outcome)
            return
        t_ns = _joined([part.t_ns for part in parts])
        reference, indication = (
            _joined([part.reference for part in parts]),
            _joined([part.indication for part in parts]),
        )
        found = block_features(t_ns, reference, indication, outcomes.from_ns, outcomes.to_ns)
        while self._samples and self._samples[0].t_ns[-1] <= outcomes.to_ns[-1]:
            self._samples.popleft()
        self.ledger.extend(blocks, found)
        self._blocks += len(outcomes)
        self._theta = outcomes.theta[-1].copy()

    def _within(self, outcome: BlockOutcome) -> tuple[FloatArray, FloatArray]:
        """Return reference and indication over a block, (n,) each."""
        parts = []
        for record in self._samples:
            begin = int(record.t_ns.searchsorted(outcome.from_ns, "left"))
            end = int(record.t_ns.searchsorted(outcome.to_ns, "right"))
            if end > begin:
                parts.append((record.reference[begin:end], record.indication[begin:end]))
        if len(parts) == 1:
            return parts[0]
        references, indications = zip(*parts, strict=True) if parts else ((np.empty(0),), (np.empty(0),))
        return np.concatenate(references), np.concatenate(indications)

    def pair(self) -> Pair | None:
        """Return what attribution wants to know; None before there is anything."""
        theta = self._theta
        return None if theta is None else Pair(self.ledger, theta, common_of(self.names, theta))

    def wants_asking(self, *, drifts: bool, alone: bool) -> bool:
        """Tell whether it is worth asking what has changed; forgets the answer where nothing has any more."""
        if not drifts:
            self.attribution, self._found_at, self._asked_at = None, None, None
            return False
        if self._found_at is None or self._asked_at is None:
            return True
        if settled(self.attribution, alone=alone) or self._blocks > self._found_at + _ASKED_BLOCKS:
            return False
        return self._blocks >= self._asked_at + _AGAIN_BLOCKS

    @stage(Stage.CAUSE)
    def ask(self, neighbours: Iterable[Causes], above: Causes | None) -> str:
        """Find out what has changed; return what went wrong with that, or ''."""
        self._asked_at = self._blocks
        self._found_at = self._blocks if self._found_at is None else self._found_at
        own = self.pair()
        if own is None:
            return ""
        others = [pair for other in neighbours if (pair := other.pair()) is not None]
        try:
            self.attribution = attribute(own, others, None if above is None else above.pair())
        except (ArithmeticError, np.linalg.LinAlgError) as error:
            return str(error)
        return ""

    def wants_foretelling(self, now_ns: int) -> bool:
        """Tell whether there is news to foretell from."""
        blocks, at_ns = self._foretold
        return self._blocks > blocks and not 0 <= now_ns - at_ns < _FORETOLD_NS

    @stage(Stage.FORECAST)
    def foretell(self, baseline: Baseline, tolerance: Mapping[str, float], now_ns: int) -> str:
        """Find out when tolerances are left; return what went wrong with that, or ''."""
        self._foretold = self._blocks, now_ns
        limits = {name: tolerance.get(name, DEFAULT_TOLERANCE) for name in self.names}
        try:
            self.outlook = forecast(self.ledger, self.names, baseline.values, baseline.cov, limits)
        except (InvalidData, ArithmeticError, np.linalg.LinAlgError) as error:
            return str(error)
        return ""


def _joined(parts: list[npt.NDArray[S]]) -> npt.NDArray[S]:
    return np.ascontiguousarray(parts[0] if len(parts) == 1 else np.concatenate(parts))
