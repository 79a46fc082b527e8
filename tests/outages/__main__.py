"""Outages in full: ``python -m tests.outages kills|disorder|clocks|disks [--samples N] [--seed N]``.

The status is 1 if any sample is missing, extra or altered.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from tests.outages.delivery import Delivered
from tests.outages.trials import TRIALS

N_SAMPLES: Final = 1_000_000


def main() -> int:
    """Run what was asked for, say how it goes, and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.outages", description=__doc__)
    parser.add_argument("trial", choices=TRIALS)
    parser.add_argument("--samples", type=int, default=N_SAMPLES)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="an empty directory to work in, which then stays, logs and all")
    options = parser.parse_args()
    run: Callable[..., Delivered] = TRIALS[options.trial]
    with _folder(options.keep) as folder:
        outcome = run(folder, n_samples=options.samples, seed=options.seed, say=_say)
    found = outcome.count
    _say(f"{options.trial}, seed {options.seed}: complete {outcome.settled_s:.1f} s after the last was sent")
    _say(f"{found.made} made, {found.kept} kept, {found.missing} missing, {found.extra} extra, {found.altered} altered")
    _say(f"ledger: {outcome.ledger}")
    return 0 if outcome.perfect else 1


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="dyncal-outages-") as folder:
        yield Path(folder)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
