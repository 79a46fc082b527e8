"""``python -m services.api --config FILE``."""

from __future__ import annotations

import sys

from dyncal.runtime.program import main
from services.api.service import build
from services.api.settings import ApiSettings

if __name__ == "__main__":
    sys.exit(main(ApiSettings, build))
