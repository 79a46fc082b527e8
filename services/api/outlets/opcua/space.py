"""An address space whose nodes are made when they are asked for: 10 000 sensors would be 200 000 nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from asyncua.server.address_space import NodeData, ViewService

MOST_KEPT: Final = 20_000
"""Made nodes that nobody is subscribed to, kept for the next who asks."""


class LazyNodes(dict[Any, NodeData]):
    """The nodes of a server: those that are there, as a dictionary, and those of one namespace, made by `make`.

    Takes the place of the dictionary inside asyncua's `AddressSpace`, which has a lazy one of its own for files.

    Parameters
    ----------
    nodes : dict
        Those that are there.
    namespace : int
        Index of the namespace of those that are made.
    make : callable
        Returns the node of an identifier, or None where there is none.
    """

    def __init__(
        self,
        nodes: dict[Any, NodeData],
        namespace: int,
        make: Callable[[str], NodeData | None],
        *,
        most: int = MOST_KEPT,
    ) -> None:
        super().__init__(nodes)
        self._namespace, self._make, self._most = namespace, make, most
        self._made: dict[str, NodeData] = {}
        self._sweep_at = most

    def __missing__(self, key: Any) -> NodeData:
        node = self._lazy(key)
        if node is None:
            raise KeyError(key)
        return node

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or self._lazy(key) is not None

    def get(self, key: Any, default: Any = None) -> Any:
        """Return a node, or `default`."""
        found = super().get(key)
        if found is None:
            found = self._lazy(key)
        return default if found is None else found

    @property
    def n_made(self) -> int:
        """Made nodes that are kept."""
        return len(self._made)

    def forget(self, identifier: str) -> None:
        """Make a node anew when it is next asked for, unless somebody is subscribed to it."""
        node = self._made.get(identifier)
        if node is not None and not _in_use(node):
            del self._made[identifier]

    def forget_all(self) -> None:
        """Make all nodes anew that nobody is subscribed to."""
        self._made = {identifier: node for identifier, node in self._made.items() if _in_use(node)}

    def _lazy(self, key: Any) -> NodeData | None:
        if getattr(key, "NamespaceIndex", None) != self._namespace or not isinstance(key.Identifier, str):
            return None
        node = self._made.get(key.Identifier)
        if node is None:
            node = self._make(key.Identifier)
            if node is not None:
                if len(self._made) >= self._sweep_at:
                    self.forget_all()
                    self._sweep_at = len(self._made) + self._most
                self._made[key.Identifier] = node
        return node


def _in_use(node: NodeData) -> bool:
    return any(attribute.datachange_callbacks for attribute in node.attributes.values())


class QuickViews(ViewService):  # type: ignore[misc]  # asyncua has no types
    """Browsing that remembers which reference types are subtypes: asyncua walks their tree for each reference."""

    def __init__(self, aspace: Any) -> None:
        super().__init__(aspace)
        self._suitable: dict[tuple[Any, Any, bool], bool] = {}

    def _suitable_reftype(self, ref1: Any, ref2: Any, subtypes: bool) -> bool:
        key = (ref1, ref2, subtypes)
        known = self._suitable.get(key)
        if known is None:
            if len(self._suitable) >= MOST_KEPT:  # clients may ask for types that are not there
                self._suitable.clear()
            known = self._suitable[key] = bool(super()._suitable_reftype(ref1, ref2, subtypes))
        return known
