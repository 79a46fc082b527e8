"""A small runner of ISO Schematron with XPath 3.1, for PTB's rules: lets, rules, asserts and reports.

In a pattern, the first rule whose context matches a node is the one that is applied to it (ISO/IEC 19757-3, 6.4).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from elementpath import XPathContext, get_node_tree
from elementpath.xpath31 import XPath31Parser
from lxml import etree

_SCH: Final = "{http://purl.oclc.org/dsdl/schematron}"


@dataclass(frozen=True)
class Finding:
    """A report that held, or an assertion that did not."""

    role: str
    test: str
    message: str
    path: str


class Schematron:
    """The rules of one file."""

    def __init__(self, path: Path) -> None:
        self._schema = etree.parse(str(path)).getroot()
        namespaces = {ns.get("prefix", ""): ns.get("uri", "") for ns in self._schema.iter(f"{_SCH}ns")}
        self._parser = XPath31Parser(namespaces={**namespaces, "xs": "http://www.w3.org/2001/XMLSchema"})
        self._parsed: dict[str, Any] = {}

    def validate(self, document: bytes) -> list[Finding]:
        """Return what the rules find in a document."""
        root = get_node_tree(etree.fromstring(document))
        return [finding for pattern in self._schema.iter(f"{_SCH}pattern") for finding in self._pattern(pattern, root)]

    def _pattern(self, pattern: Any, root: Any) -> Iterator[Finding]:
        shared = self._lets(pattern, root, None, {})
        taken: set[tuple[int, str, int]] = set()
        for rule in pattern.iterchildren(f"{_SCH}rule"):
            context = rule.get("context")
            for item in self._select(context if context.startswith("/") else f"//{context}", root, None, shared):
                node = getattr(item, "elem", None)
                key = (
                    id(getattr(item, "parent", item)),
                    str(getattr(item, "name", "")),
                    id(node) if node is not None else 0,
                )
                if key in taken:
                    continue
                taken.add(key)
                yield from self._rule(rule, root, item, shared)

    def _rule(self, rule: Any, root: Any, item: Any, shared: dict[str, Any]) -> Iterator[Finding]:
        variables = self._lets(rule, root, item, shared)
        for check in rule:
            if check.tag not in (f"{_SCH}assert", f"{_SCH}report"):
                continue
            holds = bool(self._boolean(check.get("test"), root, item, variables))
            if holds == (check.tag == f"{_SCH}report"):
                message = " ".join("".join(check.itertext()).split())
                yield Finding(check.get("role", "error"), check.get("test"), message, str(item))

    def _lets(self, parent: Any, root: Any, item: Any, outer: dict[str, Any]) -> dict[str, Any]:
        variables = dict(outer)
        for let in parent.iterchildren(f"{_SCH}let"):
            variables[let.get("name")] = self._select(let.get("value"), root, item, variables)
        return variables

    def _boolean(self, test: str, root: Any, item: Any, variables: dict[str, Any]) -> Any:
        return self._evaluate(f"boolean({test})", root, item, variables)

    def _select(self, expression: str, root: Any, item: Any, variables: dict[str, Any]) -> list[Any]:
        return list(self._token(expression).select(self._context(root, item, variables)))

    def _evaluate(self, expression: str, root: Any, item: Any, variables: dict[str, Any]) -> Any:
        return self._token(expression).evaluate(self._context(root, item, variables))

    def _token(self, expression: str) -> Any:
        if expression not in self._parsed:
            self._parsed[expression] = self._parser.parse(expression)
        return self._parsed[expression]

    @staticmethod
    def _context(root: Any, item: Any, variables: dict[str, Any]) -> XPathContext:
        return XPathContext(root, item=item, variables=variables)
