"""Freeze a version: `python -m simulators.datasets OPEN BLIND` writes its contents.json from two made parts.

Once in a version's life, by the maintainer; a test holds the tree to it ever after.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from simulators.datasets.making import MANIFEST
from simulators.datasets.store import read_json


def main() -> int:
    """Write the file below the version that the manifests name."""
    manifests = [read_json(Path(folder) / MANIFEST) for folder in sys.argv[1:]]
    version = manifests[0]["version"]
    path = Path(__file__).parent / f"v{version}" / "contents.json"
    path.write_text(json.dumps({m["part"]: m["members"] for m in manifests}, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
