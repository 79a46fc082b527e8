"""Event filters (OPC 10000-4, 7.7): what a subscriber selects, and where.

The library has an evaluator; it knows no subtypes, and takes a field that an event has not for an error.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from asyncua import ua

IsSubtype = Callable[[Any, Any], bool]
"""Tells whether the first type is the second, or below it."""

MOST_DEEP: Final = 50


class Unsupported(Exception):
    """A filter that cannot be evaluated."""


def path_of(operand: Any) -> str:
    """Return the path of browse names of an operand; ``NodeId`` for the id of the condition itself."""
    if not operand.BrowsePath:
        return "NodeId" if operand.AttributeId == ua.AttributeIds.NodeId else ""
    return "/".join(name.Name or "" for name in operand.BrowsePath)


def selected(clauses: Any, fields: Mapping[str, Any]) -> list[Any]:
    """Return the fields that a subscriber has selected; null for what an event has not."""
    return [fields.get(path_of(clause), ua.Variant(None, ua.VariantType.Null)) for clause in clauses]


def passes(where: Any, fields: Mapping[str, Any], is_subtype: IsSubtype) -> bool:
    """Tell whether an event meets a filter; one that cannot be evaluated is met by none."""
    elements = getattr(where, "Elements", None) or []
    if not elements:
        return True
    try:
        return _Evaluation(elements, fields, is_subtype).element(0, 0) is True
    except (Unsupported, TypeError, ValueError, IndexError, AttributeError):
        return False


class _Evaluation:
    """One filter and one event. None stands for NULL, as in the three-valued logic of the standard."""

    def __init__(self, elements: Any, fields: Mapping[str, Any], is_subtype: IsSubtype) -> None:
        self._elements, self._fields, self._is_subtype = elements, fields, is_subtype
        self._known: dict[int, Any] = {}  # elements may be named many times: a tree of them would grow without bound

    def element(self, index: int, depth: int) -> Any:
        if index not in self._known:
            if depth > MOST_DEEP:
                raise Unsupported("too deep, or a circle")
            self._known[index] = self._evaluated(self._elements[index], depth)
        return self._known[index]

    def _evaluated(self, element: Any, depth: int) -> Any:
        operator = ua.FilterOperator(element.FilterOperator)
        if operator is ua.FilterOperator.OfType:
            (wanted,) = element.FilterOperands
            return self._is_subtype(self._fields["EventType"].Value, self._operand(wanted, depth))
        values = [self._operand(operand, depth) for operand in element.FilterOperands]
        if operator is ua.FilterOperator.IsNull:
            return values[0] is None
        if operator in _LOGIC:
            return _LOGIC[operator](values)
        if operator not in _COMPARISONS:
            raise Unsupported(operator.name)
        if any(value is None for value in values[:2]):
            return None
        return _COMPARISONS[operator](values)

    def _operand(self, operand: Any, depth: int) -> Any:
        if isinstance(operand, ua.ElementOperand):
            return self.element(operand.Index, depth + 1)
        if isinstance(operand, ua.LiteralOperand):
            return _bare(operand.Value)
        if isinstance(operand, ua.SimpleAttributeOperand):
            return _bare(self._fields.get(path_of(operand)))
        raise Unsupported(type(operand).__name__)


def _bare(value: Any) -> Any:
    value = value.Value if isinstance(value, ua.Variant) else value
    return value.Text if isinstance(value, ua.LocalizedText) else value


def _and(values: list[Any]) -> bool | None:
    if False in values[:2]:
        return False
    return None if None in values[:2] else True


def _or(values: list[Any]) -> bool | None:
    if True in values[:2]:
        return True
    return None if None in values[:2] else False


@lru_cache(maxsize=100)
def _pattern(like: str) -> re.Pattern[str]:
    """Return the regular expression of a pattern: ``%`` any text, ``_`` one character, ``[]`` and ``[^]`` lists."""
    text = like.replace("[^", "[!").replace("*", "[*]").replace("?", "[?]").replace("%", "*").replace("_", "?")
    return re.compile(fnmatch.translate(text))


_LOGIC: Final[Mapping[Any, Callable[[list[Any]], Any]]] = {
    ua.FilterOperator.And: _and,
    ua.FilterOperator.Or: _or,
    ua.FilterOperator.Not: lambda v: None if v[0] is None else not v[0],
}
_COMPARISONS: Final[Mapping[Any, Callable[[list[Any]], Any]]] = {
    ua.FilterOperator.Equals: lambda v: v[0] == v[1],
    ua.FilterOperator.GreaterThan: lambda v: v[0] > v[1],
    ua.FilterOperator.LessThan: lambda v: v[0] < v[1],
    ua.FilterOperator.GreaterThanOrEqual: lambda v: v[0] >= v[1],
    ua.FilterOperator.LessThanOrEqual: lambda v: v[0] <= v[1],
    ua.FilterOperator.Like: lambda v: _pattern(v[1]).match(v[0]) is not None,
    ua.FilterOperator.Between: lambda v: v[1] <= v[0] <= v[2],
    ua.FilterOperator.InList: lambda v: v[0] in v[1:],
    ua.FilterOperator.BitwiseAnd: lambda v: v[0] & v[1],
    ua.FilterOperator.BitwiseOr: lambda v: v[0] | v[1],
}
