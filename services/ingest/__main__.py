"""``python -m services.ingest --config FILE``."""

from __future__ import annotations

import sys

from dyncal.runtime.program import main
from services.ingest.service import build
from services.ingest.settings import IngestSettings

if __name__ == "__main__":
    sys.exit(main(IngestSettings, build))
