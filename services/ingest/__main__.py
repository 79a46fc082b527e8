"""``python -m services.ingest --config FILE``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dyncal.domain.errors import InvalidSetting
from dyncal.runtime.logging import configure
from dyncal.runtime.service import run_service
from dyncal.runtime.settings import load
from services.ingest.service import build
from services.ingest.settings import IngestSettings


def main(arguments: list[str] | None = None) -> int:
    """Run the service until SIGTERM; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m services.ingest", description=__doc__)
    parser.add_argument("--config", type=Path, help="TOML file")
    options = parser.parse_args(arguments)
    try:
        settings = load(IngestSettings, options.config)
    except InvalidSetting as error:
        sys.stderr.write(f"{error}\n")
        return 2
    configure(settings.log)
    return run_service(build(settings))


if __name__ == "__main__":
    sys.exit(main())
