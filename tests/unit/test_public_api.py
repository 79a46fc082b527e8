"""What `from dyncal import ...` offers, and that nothing is loaded before it is asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

import dyncal


@pytest.mark.parametrize("name", sorted(dyncal.__all__))
def test_every_public_name_is_there_and_says_what_it_is(name: str) -> None:
    thing = getattr(dyncal, name)
    assert thing.__doc__
    assert name in dir(dyncal)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = dyncal.no_such_thing  # type: ignore[attr-defined]  # that is the point


def test_importing_dyncal_loads_nothing_heavy() -> None:
    code = "import dyncal, sys; print([m for m in ('numpy', 'scipy', 'numba', 'pydantic') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
