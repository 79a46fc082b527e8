"""asyncua's structures are completed when they are used, and are then what they would have been at once."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from typing import Any

import pytest

from dyncal.adapters.opcua.client import when_used

LOADED = """
import dataclasses, json, sys
from dyncal.adapters.opcua import client
real = dataclasses.dataclass
client.load()
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua import ua_binary
postponed = sum("Postponed" in type(vars(c).get("__dataclass_fields__")).__name__
                for c in vars(ua.uaprotocol_auto).values() if isinstance(c, type))
asked = ua.CreateSubscriptionParameters(500.0, 30, 10, 1000, True, 7)
again = ua_binary.struct_from_binary(ua.CreateSubscriptionParameters, Buffer(ua_binary.struct_to_binary(asked)))
print(json.dumps([postponed, again == asked, repr(again) == repr(asked), dataclasses.dataclass is real]))
"""


def test_asyncua_is_loaded_with_what_nobody_uses_postponed() -> None:
    said = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    postponed, equal, alike, restored = json.loads(said.stdout)
    assert postponed > 300
    assert equal
    assert alike
    assert restored


def test_a_class_is_completed_by_its_first_instance_or_when_its_fields_are_asked_for() -> None:
    class Base:
        a: int = 1
        b: list[int] = dataclasses.field(default_factory=list)

    class Derived(Base):
        c: str = "c"

    base: Any = when_used(Base, slots=True)
    derived: Any = when_used(Derived)
    assert id(base) == id(Base)
    one = derived(2, c="d")
    assert [field.name for field in dataclasses.fields(derived)] == ["a", "b", "c"]
    assert repr(one).endswith("Derived(a=2, b=[], c='d')")
    assert one == derived(2, [], "d")
    assert one != derived(3)
    assert [field.name for field in dataclasses.fields(base)] == ["a", "b"]
    with pytest.raises(TypeError, match="unexpected keyword"):
        base(z=1)
    with pytest.raises(TypeError, match="unhashable"):
        hash(base())


def test_what_makes_its_own_instances_is_a_dataclass_at_once() -> None:
    class Own:
        a: int = 1

        def __init__(self) -> None:
            self.a = 5

    made: Any = when_used(Own)
    assert made().a == 5
    assert "a" in {field.name for field in dataclasses.fields(made)}
