"""``python -m tests.capacity [PART …]``: measure (some minutes of one core), and write docs/capacity.md.

``--page`` measures nothing.
"""

from __future__ import annotations

import sys

from tests.capacity import coefficients, page
from tests.capacity.measuring import PARTS, measured

if __name__ == "__main__":
    asked = sys.argv[1:]
    if "--page" not in asked:
        for part in asked or PARTS:
            coefficients.keep(measured([part]))
    page.FILE.write_text(page.text_of(coefficients.read()), encoding="utf-8")
