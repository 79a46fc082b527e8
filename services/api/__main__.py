"""Run the API service alone: ``python -m services.api --config FILE``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dyncal.domain.errors import DyncalError
from dyncal.runtime import logging
from dyncal.runtime.service import run_service
from dyncal.runtime.settings import load
from services.api.service import build
from services.api.settings import ApiSettings


def main() -> int:
    """Run until SIGTERM; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m services.api", description=__doc__)
    parser.add_argument("--config", type=Path, help="TOML file with the settings")
    arguments = parser.parse_args()
    try:
        settings = load(ApiSettings, arguments.config)
        logging.configure(settings.log)
        return run_service(build(settings))
    except DyncalError as error:
        sys.stderr.write(f"{error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
