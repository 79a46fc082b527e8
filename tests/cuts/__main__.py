"""Connections cut in full: ``python -m tests.cuts [--server NAME] [--cuts 1 10 60] [--times 20] [--rate HZ]``.

The status is 1 if a sample is missing that no gap record tells of, or, where the queue holds as much as comes during
the longest cut, if any is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.cuts.servers import KINDS, Missing
from tests.cuts.trial import Outcome, cut

BACK_S: Final = 10.0  # until a connection is there again


def main() -> int:
    """Run what was asked for, say how it goes, and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.cuts", description=__doc__)
    parser.add_argument("--server", choices=KINDS, action="append", help="default: all")
    parser.add_argument("--cuts", type=float, nargs="+", default=[1.0, 10.0, 60.0], metavar="SECONDS")
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--rate", type=float, help="changes of the variable a second")
    parser.add_argument("--queue", type=int, help="queue asked of the server; default the longest that it grants")
    parser.add_argument("--history", action="store_true", help="let the server keep a history, if it can")
    options = parser.parse_args()
    return max(_run(name, options) for name in options.server or KINDS)


def _run(name: str, options: argparse.Namespace) -> int:
    kind = KINDS[name]
    if options.rate is not None:
        sampling_s = 0.5 / options.rate if kind.sampling_s else 0.0
        kind = dataclasses.replace(kind, rate_hz=options.rate, sampling_s=sampling_s)
    queue = min(options.queue or kind.most_queued, kind.most_queued)
    cuts_s = [cut_s for _ in range(options.times) for cut_s in options.cuts]
    history = options.history and kind.history
    outcome = Outcome(0, 0, 0, 0, 0, 0)
    for part in _parts(cuts_s, kind.longest_s):
        with tempfile.TemporaryDirectory(prefix="dyncal-cuts-") as folder:
            try:
                outcome += asyncio.run(cut(kind, Path(folder), part, history=history, queue_size=queue, say=_say))
            except Missing as error:
                _say(f"{name}: {error}")
                return 1
        _say(f"{outcome}")
    _say(f"{name}, {kind.rate_hz:g} Hz, queue {queue}{', history' if history else ''}, {len(cuts_s)} cuts: {outcome}")
    holds = history or queue >= kind.rate_hz * (max(options.cuts) + BACK_S)
    return 0 if outcome.honest and not (holds and outcome.missing) else 1


def _parts(cuts_s: Sequence[float], longest_s: float) -> Iterator[list[float]]:
    """Yield as many cuts at a time as a server runs for."""
    part: list[float] = []
    for cut_s in cuts_s:
        if part and sum(part) + cut_s + BACK_S * (len(part) + 2) > longest_s:
            yield part
            part = []
        part.append(cut_s)
    yield part


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
