"""The process that a method runs in. Needs the standard library and numpy, so that it runs in anybody's environment.

``python worker.py MODULE:FUNCTION [DIRECTORY ...]`` (or ``FILE.py:FUNCTION``; directories go before the module search
path) reads records on standard input and writes answers on standard output, each as a frame: 8 bytes of length, big
endian, and an npz archive, whose entry ``words`` is JSON. What the method prints goes to standard error.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import json
import os
import struct
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np

MOST_BYTES: Final = 1 << 30
_HEAD: Final = struct.Struct(">Q")
_WORDS: Final = "words"


def pack(record: dict[str, Any]) -> bytes:
    """Return a frame. Arrays go as they are, all else as JSON. Raises `TypeError` for what is neither."""
    arrays = {key: value for key, value in record.items() if isinstance(value, np.ndarray)}
    words = {key: value for key, value in record.items() if key not in arrays}
    text = json.dumps(words, default=_plain)
    made = io.BytesIO()
    np.savez(made, **arrays, **{_WORDS: np.array(text)})  # type: ignore[arg-type]  # its stubs take allow_pickle only
    return _HEAD.pack(made.tell()) + made.getvalue()


def unpack(body: bytes) -> dict[str, Any]:
    """Return what a frame holds. Raises `ValueError` for what is none."""
    try:
        with np.load(io.BytesIO(body), allow_pickle=False) as archive:
            words = json.loads(str(archive[_WORDS]))
            return {**words, **{name: archive[name] for name in archive.files if name != _WORDS}}
    except (OSError, KeyError, EOFError, TypeError) as error:
        raise ValueError(f"not a frame: {error}") from error


def size_of(head: bytes) -> int:
    """Return how many bytes follow these eight. Raises `ValueError` beyond `MOST_BYTES`."""
    size = int(_HEAD.unpack(head)[0])
    if size > MOST_BYTES:
        raise ValueError(f"a frame of {size} bytes, at most {MOST_BYTES} are taken")
    return size


def load(entry: str, directories: list[str]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return the function that `entry` names. Raises whatever its import raises."""
    sys.path[:0] = [*directories, str(Path.cwd())]
    module_name, _, name = entry.rpartition(":")
    if module_name.endswith(".py"):
        spec = importlib.util.spec_from_file_location("scored_method", module_name)
        if spec is None or spec.loader is None:
            raise ImportError(f"{module_name}: no Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules["scored_method"] = module
        spec.loader.exec_module(module)
    else:
        module = importlib.import_module(module_name)
    found = getattr(module, name)
    if not callable(found):
        raise TypeError(f"{entry} is no function")
    return found  # type: ignore[no-any-return]  # anybody's


def main() -> int:
    """Answer records until there are no more."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the method prints must not get among the answers
    try:
        method = load(sys.argv[1], sys.argv[2:])
    except Exception as error:  # noqa: BLE001 - anybody's module may raise anything, and it is told
        traceback.print_exc()
        _say(answers, {"error": f"{type(error).__name__}: {error}"})
        return 1
    _say(answers, {"ready": True})
    while (record := _next(sys.stdin.buffer)) is not None:
        began = time.process_time()
        try:
            answer: dict[str, Any] = {"answer": True, **dict(method(record))}
        except Exception as error:  # noqa: BLE001 - as above
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        answer["seconds"] = time.process_time() - began
        try:
            _say(answers, answer)
        except TypeError as error:
            _say(answers, {"error": f"the answer cannot be sent: {error}", "seconds": answer["seconds"]})
    return 0


def _next(stream: BinaryIO) -> dict[str, Any] | None:
    head = stream.read(_HEAD.size)
    return unpack(stream.read(size_of(head))) if len(head) == _HEAD.size else None


def _say(stream: BinaryIO, answer: dict[str, Any]) -> None:
    stream.write(pack(answer))
    stream.flush()


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is neither an array nor JSON")


if __name__ == "__main__":
    sys.exit(main())
