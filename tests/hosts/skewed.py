"""``python -m tests.hosts.skewed SECONDS run edge --config FILE``: dyncal where the clock is wrong by so much."""

from __future__ import annotations

import sys

from dyncal.domain.time import InstantNs
from dyncal.runtime.clocks import SystemClock


def main() -> int:
    """Set the clock wrong, and be dyncal."""
    off_ns = round(float(sys.argv.pop(1)) * 1e9)
    right = SystemClock.now
    SystemClock.now = lambda self: InstantNs(right(self) + off_ns)  # type: ignore[method-assign]  # on purpose
    from dyncal.cli.app import app  # with the clock that it finds

    app()
    return 0


if __name__ == "__main__":
    sys.exit(main())
