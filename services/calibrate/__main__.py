"""``python -m services.calibrate --config FILE``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dyncal.domain.errors import InvalidSetting
from dyncal.runtime.logging import configure
from dyncal.runtime.service import run_service
from dyncal.runtime.settings import load
from services.calibrate.service import build
from services.calibrate.settings import CalibrateSettings


def main() -> int:
    """Run the calibration service until it is told to stop; return the exit status."""
    parser = argparse.ArgumentParser(prog="services.calibrate", description="Calibrate sensors while the plant runs.")
    parser.add_argument("--config", type=Path, help="TOML file with settings")
    arguments = parser.parse_args()
    try:
        settings = load(CalibrateSettings, arguments.config)
    except InvalidSetting as error:
        sys.stderr.write(f"{error}\n")
        return 2
    configure(settings.log)
    return run_service(build(settings))


if __name__ == "__main__":
    sys.exit(main())
