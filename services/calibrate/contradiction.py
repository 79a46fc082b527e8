"""Whether a sensor and its reference have come apart in a way that the model does not have: a zero, a clock, a fault.

Drift monitors hear nothing of such blocks, and must not be taken for content: a zero that moved by a hundred times the
noise left a sensor in control until its idle time was over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from dyncal.domain.calibration import Verdict
from dyncal.domain.health import Cause
from dyncal.identification.records import BlockOutcome, Estimate

_ENOUGH: Final = 4  # blocks in a row: after that many the estimator begins anew, and may never close one again


@dataclass(slots=True)
class Contradiction:
    """Counts blocks that contradict the model, with none in between that says something by it.

    Attributes
    ----------
    n : int
        Such blocks since the last that agreed.
    words : str
        The estimator's words for it, taken again whenever there are twice as many blocks: not with every number.
    stands_ns : int, optional
        Instant since when it stands: there are four such blocks, and none since that agrees. None where it does not.
    """

    n: int = 0
    words: str = ""
    stands_ns: int | None = None

    def block(self, outcome: BlockOutcome, asked: Callable[[], Estimate | None]) -> None:
        """Take in a block; the estimator is `asked` what it says after it or some later one, where that matters."""
        if outcome.excited and not outcome.rejected:
            self.n, self.words, self.stands_ns = 0, "", None
            return
        now = asked()
        if outcome.rejected or (now is not None and now.verdict is Verdict.INCONSISTENT):
            self.n += 1
            if self.n >= _ENOUGH and self.n & (self.n - 1) == 0:
                self.words = "" if now is None else now.detail
                self.stands_ns = outcome.to_ns if self.stands_ns is None else self.stands_ns


def whose(stands_ns: int, others: Iterable[tuple[int | None, int | None]]) -> Cause:
    """Return whose fault a contradiction is that stands since `stands_ns`, by the other sensors of the same reference.

    A reference that one of them still agrees with is not at fault; one that none agrees with is, or what they share.

    Parameters
    ----------
    stands_ns : int
    others : iterable of pairs
        Of each the last instant at which the data spoke for it and its reference as they were, and since when it
        contradicts the reference itself; None where never. Those that have said nothing since do not count.
    """
    heard = [
        contradicts_ns is not None
        for informed_ns, contradicts_ns in others
        if contradicts_ns is not None or (informed_ns is not None and informed_ns >= stands_ns)
    ]
    if not heard:
        return Cause.SENSOR_OR_REFERENCE
    return Cause.REFERENCE if all(heard) else Cause.SENSOR
