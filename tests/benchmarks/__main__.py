"""Run the benchmarks: `python -m tests.benchmarks [--only TEXT]`.

Each module `bench_*` measures within one run what it compares, and offers `sections()`: figures with their bars.
Comparisons with libraries that cannot be had here are left out, and said to be. In the end all figures stand beside the
last committed ones, times and rates over those of a known work in the same run (`tests.benchmarks.reference`).
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
import time
import traceback
from collections.abc import Sequence

from tests import benchmarks
from tests.benchmarks import comparing, performance
from tests.benchmarks.reference import reference_s
from tests.evidence import Figure, committed, read, table, write


def main() -> int:
    """Run, print, write docs/evidence/benchmarks.md; 1 if a bar was not reached or something was not measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=main.__doc__)
    parser.add_argument("--only", default="", help="run the modules whose name contains this")
    parser.add_argument("--list", action="store_true", help="say what there is")
    parser.add_argument("--compare", action="store_true", help="measure nothing: compare what the tree has")
    arguments = parser.parse_args()
    names = [name for name in discover() if arguments.only in name]
    if arguments.list or not names:
        say("\n".join(names if arguments.list else discover()))
        return 0 if arguments.list else 2
    missed = [] if arguments.compare else [name for name in names if not run(name)]
    compare()
    if missed:
        say(f"not all bars were reached, or measured, by {', '.join(missed)}")
    return 1 if missed else 0


def compare() -> None:
    """Print what the tree has beside what is committed, and write the page of peers."""
    now, before = read("benchmarks"), committed("benchmarks")
    made = {name: section for name, section in now.items() if section != before.get(name)}
    found = comparing.changes(before, made)
    if found:
        say("\n" + "\n".join(comparing.comparison(found)) + f"\n\n{comparing.summary(found)}")
    performance.write(now)


def discover() -> list[str]:
    """Return the names of the modules, `bench_` left out."""
    found = (module.name for module in pkgutil.iter_modules(benchmarks.__path__))
    return sorted(name.removeprefix("bench_") for name in found if name.startswith("bench_"))


def run(name: str) -> bool:
    """Run one module, print and write its sections; return whether all bars were reached."""
    started = time.perf_counter()
    say(f"--- {name}")
    first_s = reference_s()
    try:
        sections: dict[str, Sequence[Figure]] = importlib.import_module(f"tests.benchmarks.bench_{name}").sections()
    except Exception:  # noqa: BLE001 - the other modules can still be measured
        traceback.print_exc()
        return False
    for section, figures in sections.items():
        say(f"\n{section}\n" + "\n".join(table(figures)))
    say(f"\n({name}: {time.perf_counter() - started:.0f} s)")
    # after each, so that an interrupted run keeps what it has found out
    machine_s = (first_s + reference_s()) / 2
    write("benchmarks", "What has been measured: speed", "make bench", sections, reference_s=machine_s)
    return bool(sections) and all(figure.reached for figures in sections.values() for figure in figures)


def say(text: str) -> None:
    """Print at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
