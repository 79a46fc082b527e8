"""Several hosts and a bad network between them: ``python -m tests.hosts [--short] [--keep DIRECTORY]``.

Three edges, a broker, services and databases, each on a host of its own (network namespaces; needs to be root), TLS on.
One edge is far away (50 ms each way, 1 % of packets lost), one has 256 kbit/s, and one is cut off for 40 s and for 8 s,
without a word to either side; then the services are for 20 s, and then the databases. The status is 0 only if every
sample that the devices made is stored, or in the ledger as a gap, and people were told of the edge that was gone.

``--edges-at`` and ``--services-at`` take a directory with another version of dyncal (`git worktree add`, or an archive
of a commit): mixed versions do the same job. With ``--upgrade`` they are ended when there are sets, first the edges,
one of them with a backlog, and go on as of this version on what they have left.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

from tests.hosts.host import contained, missing
from tests.hosts.plant import Trees
from tests.hosts.trial import SHORT, Form, Trial

_PREFIX: Final = "dyncal-hosts-"


def main() -> int:
    """Begin again in namespaces of its own, or be what runs there."""
    parser = argparse.ArgumentParser(prog="python -m tests.hosts", description=__doc__)
    parser.add_argument("--short", action="store_true", help="one cut of 20 s, as the tests do")
    parser.add_argument("--keep", type=Path, help="an empty directory to work in, which then stays, logs and all")
    parser.add_argument("--edges-at", type=Path, help="the edges are of the version in this directory")
    parser.add_argument("--services-at", type=Path, help="the services are of the version in this directory")
    parser.add_argument(
        "--upgrade", action="store_true", help="those of another version are brought up to date at work"
    )
    parser.add_argument("--skewed", action="store_true", help="one edge's clock is a minute behind, another's ahead")
    parser.add_argument("--within", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.within is not None:
        options.within.chmod(0o755)  # PostgreSQL is another user
        trees = Trees(options.edges_at, options.services_at)
        form = SHORT if options.short else Form()
        if options.skewed:
            form = replace(form, skews=(("far", -60.0), ("narrow", 60.0)))
        return run(Trial(options.within, form, trees, say, upgrade=options.upgrade))
    why = missing()
    if why:
        sys.stderr.write(f"cannot make hosts here: {why}\n")
        return 2
    sweep()
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-") as directory:
        where = str(options.keep or directory)
        return contained([sys.executable, "-m", "tests.hosts", *sys.argv[1:], "--within", where]).wait()


def sweep() -> None:
    """Remove the directories of trials that were killed; nothing else of them is left."""
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        pid = left.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            shutil.rmtree(left, ignore_errors=True)


def run(trial: Trial) -> int:
    """Run a trial, say how it goes on standard error and what came of it, as JSON, on standard output."""
    try:
        outcome = trial.run()
    finally:
        trial.plant.close()
    sys.stdout.write(json.dumps(asdict(outcome)) + "\n")
    sys.stdout.flush()
    return 1 if outcome.faults else 0


def say(text: str) -> None:
    """Say how it goes."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
