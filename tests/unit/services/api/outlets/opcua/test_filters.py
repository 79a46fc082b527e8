from __future__ import annotations

import time
from typing import Any

import pytest
from asyncua import ua

from services.api.outlets.opcua.filters import passes, path_of, selected

FIELDS = {
    "EventType": ua.Variant(ua.NodeId(2915), ua.VariantType.NodeId),
    "Severity": ua.Variant(500, ua.VariantType.UInt16),
    "SourceName": ua.Variant("TT-101", ua.VariantType.String),
    "Message": ua.Variant(ua.LocalizedText("drift of TT-101"), ua.VariantType.LocalizedText),
    "ActiveState/Id": ua.Variant(True, ua.VariantType.Boolean),
    "NodeId": ua.Variant(ua.NodeId("alarm/TT-101:drift", 2), ua.VariantType.NodeId),
}
Op = ua.FilterOperator


def is_subtype(kind: Any, wanted: Any) -> bool:
    return kind.Identifier == 2915 and wanted.Identifier in (2915, 2881, 2782, 2041)


def field(*path: str) -> Any:
    return ua.SimpleAttributeOperand(BrowsePath=[ua.QualifiedName(name, 0) for name in path], AttributeId=13)


def literal(value: Any) -> Any:
    return ua.LiteralOperand(Value=ua.Variant(value))


def where(*elements: tuple[Any, list[Any]]) -> Any:
    return ua.ContentFilter(
        Elements=[ua.ContentFilterElement(FilterOperator=op, FilterOperands=operands) for op, operands in elements]
    )


def element(index: int) -> Any:
    return ua.ElementOperand(Index=index)


@pytest.mark.parametrize(
    ("filter_", "met"),
    [
        (where(), True),
        (where((Op.OfType, [literal(ua.NodeId(2782))])), True),
        (where((Op.OfType, [literal(ua.NodeId(2955))])), False),
        (where((Op.GreaterThanOrEqual, [field("Severity"), literal(500)])), True),
        (where((Op.GreaterThan, [field("Severity"), literal(500)])), False),
        (where((Op.Between, [field("Severity"), literal(1), literal(600)])), True),
        (where((Op.InList, [field("SourceName"), literal("a"), literal("TT-101")])), True),
        (where((Op.Like, [field("SourceName"), literal("TT-1%")])), True),
        (where((Op.Like, [field("SourceName"), literal("TT-_0_")])), True),
        (where((Op.Like, [field("SourceName"), literal("TT-[^1]%")])), False),
        (where((Op.Like, [field("SourceName"), literal("TT-*")])), False),
        (where((Op.Equals, [field("Message"), literal("drift of TT-101")])), True),
        (where((Op.Equals, [field("ActiveState", "Id"), literal(True)])), True),
        (where((Op.IsNull, [field("NobodyKnows")])), True),
        (where((Op.Equals, [field("NobodyKnows"), literal(1)])), False),
        (where((Op.Not, [element(1)]), (Op.Equals, [field("NobodyKnows"), literal(1)])), False),
        (
            where(
                (Op.Or, [element(1), element(2)]),
                (Op.Equals, [field("NobodyKnows"), literal(1)]),
                (Op.Equals, [field("Severity"), literal(500)]),
            ),
            True,
        ),
        (where((Op.And, [element(1), element(1)]), (Op.IsNull, [field("Severity")])), False),
        (where((Op.Not, [element(0)])), False),
        (where((Op.And, [element(7), element(8)])), False),
        (where((Op.GreaterThan, [field("Severity"), literal("high")])), False),
        (where((Op.Like, [field("Severity"), literal("%")])), False),
        (where((Op.InView, [literal(1)])), False),
        (where((Op.Equals, [])), False),
    ],
)
def test_filters_are_met_by_what_they_say_and_never_fail(filter_: Any, met: bool) -> None:
    assert passes(filter_, FIELDS, is_subtype) is met


def test_fields_that_an_event_has_not_are_null() -> None:
    condition = ua.SimpleAttributeOperand(BrowsePath=[], AttributeId=ua.AttributeIds.NodeId)
    assert path_of(condition) == "NodeId"
    chosen = selected([field("Severity"), field("LocalTime"), condition], FIELDS)
    assert [variant.Value for variant in chosen] == [500, None, ua.NodeId("alarm/TT-101:drift", 2)]


def test_a_filter_that_names_its_elements_twice_each_is_evaluated_once_each() -> None:
    """Thirty elements from anybody who may look would otherwise be 2^30 evaluations of each event."""
    chain = [(Op.Or, [element(k + 1), element(k + 1)]) for k in range(30)]
    begun = time.perf_counter()
    assert not passes(where(*chain, (Op.GreaterThan, [field("Severity"), literal(500)])), FIELDS, is_subtype)
    assert passes(where(*chain, (Op.Equals, [field("Severity"), literal(500)])), FIELDS, is_subtype)
    assert time.perf_counter() - begun < 1
