"""``python -m services.calibrate --config FILE``."""

from __future__ import annotations

import sys

from dyncal.runtime.program import main
from services.calibrate.service import build
from services.calibrate.settings import CalibrateSettings

if __name__ == "__main__":
    sys.exit(main(CalibrateSettings, build))
