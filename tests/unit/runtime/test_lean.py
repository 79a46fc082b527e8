"""What is left out of imports, and out of memory."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from dyncal.runtime.lean import without

GROWN = """
import sys
from dyncal.runtime import memory
def resident():
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith("VmRSS")).split()[1])
memory.keep_little()
before = resident()
burst, kept = [], []
for _ in range(500):  # what stays lies between what goes
    burst.append(bytearray(b"x" * 40_000))
    kept.append(bytearray(b"x" * 2_000))
del burst
left = resident() - before
memory.give_back()
print(left, resident() - before)
"""


def test_a_package_is_absent_for_what_is_imported_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with without("colorsys"), pytest.raises(ModuleNotFoundError):
        importlib.import_module("colorsys")
    assert importlib.import_module("colorsys").rgb_to_hsv


def test_what_was_imported_before_stays() -> None:
    with without("json"):
        assert importlib.import_module("json") is sys.modules["json"]
    assert "json" in sys.modules


def test_logs_do_without_rich() -> None:
    asked = "import dyncal.runtime.logging as log, sys; log.logger('x').info('y'); print('rich' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert said.stdout.split()[-1] == "False"


def test_what_is_free_is_given_back() -> None:
    said = subprocess.run([sys.executable, "-c", GROWN], capture_output=True, text=True, check=True)
    left, kept = map(int, said.stdout.split())
    assert left > 15_000  # kB: otherwise this shows nothing
    assert kept < 8_000
