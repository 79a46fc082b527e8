from __future__ import annotations

import importlib
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from dyncal import kernels
from dyncal.cli.kernels import modules
from dyncal.identification.online import passes

try:
    import numba
except ImportError:  # the light edge
    numba = None


COMPILED = pytest.mark.skipif(
    not kernels.HAVE_NUMBA or bool(numba.config.DISABLE_JIT), reason="nothing is compiled, and so nothing is kept"
)


@COMPILED
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


@COMPILED
def test_a_call_finds_what_a_warm_up_has_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numba compiled every kernel a second time for whoever did not warm up, and calls kernels between modules."""
    monkeypatch.syspath_prepend(str(tmp_path))
    source = "from dyncal.kernels import kernel\n@kernel('f8(f8[::1], i8)')\ndef element(x, i):\n    return x[i]\n"
    (tmp_path / "kept_once.py").write_text(source)
    try:
        importlib.import_module("kept_once")
        assert kernels.warm_up("kept_once").n_compiled == 1
        sys.modules.pop("kept_once")
        again = importlib.import_module("kept_once")
        assert again.element(np.array([1.0, 2.0]), 1) == 2.0
        assert sum(again.element.stats.cache_hits.values()) == 1
        assert not sum(again.element.stats.cache_misses.values())
    finally:
        kernels._kernels[:] = [one for one in kernels._kernels if one.dispatcher.py_func.__module__[:5] != "kept_"]


@COMPILED
def test_a_kernel_returns_what_its_signature_says() -> None:
    """Only the types of arguments are told to the compiler."""
    for name in modules():
        importlib.import_module(name)
    for registered in kernels._kernels:
        for signature in registered.signatures:
            arguments, returned = numba.core.sigutils.normalize_signature(signature)
            registered.dispatcher.compile(arguments)
            assert registered.dispatcher.overloads[arguments].signature.return_type == returned, registered.dispatcher


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
