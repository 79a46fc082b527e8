"""asyncua for a client that uses a few of OPC UA's structures: those are completed when they are first used.

asyncua declares some 400 structures of the specification as dataclasses. Python writes and compiles three methods for
each; an edge uses some forty of them. The decorator returns the class that it is given, so that it may as well be
applied to it later.
"""

from __future__ import annotations

import dataclasses
import gc
import importlib
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

_GENERATED: Final = "asyncua.ua.uaprotocol_auto"
_FIELDS: Final = "__dataclass_fields__"  # what `dataclasses.fields` and `is_dataclass` look for
_at_once: Final = dataclasses.dataclass
_completing: Final = threading.RLock()


def load() -> None:
    """Import asyncua, if nobody has yet: in half the time, and with 3 MB less, than ``import asyncua`` takes.

    To be called before modules that import it themselves. Where asyncua declares its structures in another way one
    day, it is imported as ever.
    """
    if "asyncua" in sys.modules:
        return
    collecting = gc.isenabled()
    gc.disable()  # it would look for garbage in tens of thousands of new objects, which all stay
    dataclasses.dataclass = _for_generated
    try:
        importlib.import_module("asyncua")
    finally:
        dataclasses.dataclass = _at_once
        if collecting:
            gc.enable()


def _for_generated(cls: type | None = None, /, **options: Any) -> Any:
    """Stand for `dataclasses.dataclass` while asyncua is imported."""
    if cls is None:
        return lambda decorated: _for_generated(decorated, **options)
    if cls.__module__ != _GENERATED:
        return _at_once(cls, **options)
    return when_used(cls, **options)


def when_used(cls: type, *, slots: bool = False, **options: Any) -> type:
    """Make a dataclass of `cls` when its fields are asked for, or when it is first instantiated.

    With slots it would be another class than the one that has its name by then: it has none.
    """
    if "__init__" in vars(cls) or not options.get("init", True):
        return _at_once(cls, slots=slots, **options)
    postponed: Any = _Postponed(cls, options)
    setattr(cls, _FIELDS, postponed)
    cls.__init__ = postponed.first_init()  # type: ignore[misc]  # it is what a dataclass does
    return cls


class _Postponed:
    """Stands for the fields of a class that is no dataclass yet."""

    def __init__(self, cls: type, options: dict[str, Any]) -> None:
        self._cls, self._options = cls, options

    def __get__(self, instance: object, owner: type) -> Any:
        self.complete()
        return getattr(self._cls, _FIELDS)

    def complete(self) -> None:
        """Have the class be what it was declared as; classes that it inherits from are, when theirs are asked for."""
        with _completing:
            if vars(self._cls).get(_FIELDS) is self:
                delattr(self._cls, _FIELDS)
                del self._cls.__init__
                _at_once(self._cls, **self._options)

    def first_init(self) -> Callable[..., None]:
        """Return an ``__init__`` that is there until the first call."""

        def init(instance: Any, *args: Any, **named: Any) -> None:
            self.complete()
            self._cls.__init__(instance, *args, **named)  # type: ignore[misc]  # a new one by now: that of its own fields

        return init
