"""Outages in full: ``python -m tests.outages kills [--samples N] [--kills N] [--seed N]``; 1 if anything is lost."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.outages import kills


def main() -> int:
    """Run what was asked for, say how it goes, and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.outages", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    killing = commands.add_parser("kills", help="kill -9 of agent, broker, ingest and InfluxDB at random")
    killing.add_argument("--samples", type=int, default=1_000_000)
    killing.add_argument("--kills", type=int, default=20)
    killing.add_argument("--seed", type=int, default=1)
    killing.add_argument("--keep", type=Path, help="an empty directory to work in, which then stays, logs and all")
    return _kills(parser.parse_args())


def _kills(options: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="dyncal-kills-") as folder:
        outcome = kills.run(
            options.keep or Path(folder), seed=options.seed, n_samples=options.samples, n_kills=options.kills, say=_say
        )
    found = outcome.count
    victims = ", ".join(f"{name} {n}" for name, n in sorted(outcome.kills.items()))
    _say(f"killed: {victims}; seed {options.seed}; complete {outcome.settled_s:.1f} s after the last was sent")
    _say(f"{found.made} made, {found.kept} kept, {found.missing} missing, {found.extra} extra, {found.altered} altered")
    return 0 if found.perfect else 1


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
