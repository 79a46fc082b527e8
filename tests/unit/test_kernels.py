from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

import dyncal
from dyncal import kernels
from dyncal.identification import passes

ROOT = Path(dyncal.__file__).parent


def _kernels_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            for decorator in node.decorator_list:
                called = decorator.func if isinstance(decorator, ast.Call) else decorator
                if isinstance(called, ast.Name) and called.id == "kernel":
                    found.add(node.name)
    return found


def test_no_kernel_calls_a_kernel_of_another_file() -> None:
    by_file = {path: _kernels_of(path) for path in ROOT.rglob("*.py")}
    everywhere = {name: path for path, names in by_file.items() for name in names}
    assert {"evaluate", "innovation_gain"} <= everywhere.keys()
    for path, names in by_file.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name in names:
                called = {
                    call.func.id
                    for call in ast.walk(node)
                    if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
                }
                foreign = (called - names) & everywhere.keys()
                assert not foreign, f"{path.name}: {node.name} calls {foreign}"


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
