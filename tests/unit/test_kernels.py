from __future__ import annotations

import importlib
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from dyncal import kernels
from dyncal.identification.online import passes

try:
    import numba
except ImportError:  # the light edge
    numba = None


@pytest.mark.skipif(
    not kernels.HAVE_NUMBA or bool(numba.config.DISABLE_JIT), reason="nothing is compiled, and so nothing is kept"
)
def test_what_is_kept_of_a_kernel_goes_with_the_files_whose_kernels_it_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    inner = "from dyncal.kernels import kernel\nSCALE = {}\n@kernel('f8(f8)')\ndef scaled(x):\n    return SCALE * x\n"
    outer = "from dyncal.kernels import kernel\nfrom kept_inner import scaled\n"
    outer += "@kernel('f8(f8)')\ndef shifted(x):\n    return scaled(x) + 1.0\n"
    (tmp_path / "kept_outer.py").write_text(outer)
    try:
        for scale in (2.0, 3.0):
            (tmp_path / "kept_inner.py").write_text(inner.format(scale))
            importlib.invalidate_caches()
            for name in ("kept_inner", "kept_outer"):
                sys.modules.pop(name, None)
                shutil.rmtree(tmp_path / "__pycache__" / name, ignore_errors=True)
            outside = importlib.import_module("kept_outer")
            assert outside.shifted(10.0) == 10 * scale + 1
        kept = {path.name.split("shifted-")[1][:12] for path in tmp_path.rglob("*shifted*.nbi")}
        assert len(kept) == 2
    finally:
        kernels._kernels[:] = [one for one in kernels._kernels if one.dispatcher.py_func.__module__[:5] != "kept_"]


def test_warming_up_twice_compiles_nothing_the_second_time() -> None:
    assert passes.evaluate is not None
    first = kernels.warm_up()
    second = kernels.warm_up()
    assert second.n_kernels == first.n_kernels
    assert second.n_compiled == first.n_compiled


@pytest.mark.skipif(not kernels.HAVE_NUMBA, reason="numba is not installed: the function runs as it stands")
def test_a_compiled_kernel_equals_its_python_function() -> None:
    function = passes.innovation_gain
    python = getattr(function, "py_func", function)
    eta = np.array([0.9, np.log(0.2), np.log(1.3)])
    results = []
    for run in (function, python):
        k, slope = np.zeros(2), np.zeros(2)
        run(1, eta, 0.05, 0.7, k, slope)
        results.append((k, slope))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-12)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-12)
