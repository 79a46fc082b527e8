"""docs/performance.md: what dyncal is compared with in the same run, library by library."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.evidence import FOLDER, Section, table

PAGE: Final = FOLDER.parent / "performance.md"
_HEAD: Final = """# Speed beside other libraries

Made by `make bench`; do not edit. Each figure is a ratio of two times that were measured in one run on one machine, one
beside the other, on one core unless it says otherwise: how fast the machine is, and what else it did, is not in it.
All figures, also those without a peer, are in `docs/evidence/benchmarks.md`; the bars are ours, and what misses one
says so. `make bench` ends with all figures beside the last committed ones, times and rates over a known work of the
same run.

Libraries that need other versions of numpy run in an environment of their own (`make foreign`), on the same arrays, and
time themselves within their process. None does more than dyncal does in the time it is compared with, and most do less.
"""
_OF: Final = {
    "PyDynamic": "PyDynamic 2.5.1, by PTB, NPL and others: GUM uncertainty for dynamic measurements, offline.",
    "scipy": "SciPy: the usual tools, without uncertainty.",
    "padasip": "padasip 1.2.2: adaptive filters in Python; no uncertainty, and biased by noise of the input.",
    "urllib3": "urllib3: the least that a writer to InfluxDB can do, prebuilt lines on a bare connection.",
    "Python": "Python's own means.",
}


def write(sections: Mapping[str, Section]) -> Path:
    """Write the page from all figures that have a peer; return where."""
    named = {figure.peer for section in sections.values() for figure in section.figures} - {""}
    assert named <= _OF.keys(), f"say here what they are: {named - _OF.keys()}"
    lines = [_HEAD]
    for peer in _OF:
        rows = [(name, section, [f for f in section.figures if f.peer == peer]) for name, section in sections.items()]
        rows = [row for row in rows if row[2]]
        if not rows:
            continue
        lines += [f"## {peer}", "", _OF[peer], ""]
        for name, section, figures in rows:
            lines += [f"*{name}* (at revision {section.made_at or 'unknown'})", "", *table(figures), ""]
    PAGE.write_text("\n".join(lines), encoding="utf-8")
    return PAGE
