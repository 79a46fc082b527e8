"""``python -m edge_agent --config FILE``."""

from __future__ import annotations

import sys

from dyncal.runtime.program import main
from edge_agent.service import build
from edge_agent.settings import EdgeSettings

if __name__ == "__main__":
    sys.exit(main(EdgeSettings, build))
