"""Certificates from outside as trees of elements: bounded, without document types, entities or anything external."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Final

import numpy as np
from lxml import etree

from dyncal.certificates.elements import DCC, DS, Element, qualified
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray

MAX_BYTES: Final = 16 << 20
"""Largest certificate that is read, by default."""

ROOT: Final = "digitalCalibrationCertificate"

_NUMBER: Final = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([Ee][-+]?\d+)?", re.ASCII)
_VERSION: Final = re.compile(r"3\.\d+\.\d+(-rc\.\d+)?", re.ASCII)
_LONGEST_LIST: Final = 1_000_000


def parse(data: bytes, *, max_bytes: int = MAX_BYTES) -> Element:
    """Return the root of a certificate.

    Raises
    ------
    InvalidData
        If it is no bytes, too large, no XML, has a document type, is no certificate, or one of another major version
        than 3.
    """
    if not isinstance(data, bytes):
        raise InvalidData(f"a certificate is bytes, not {type(data).__name__}")
    if len(data) > max_bytes:
        raise InvalidData(f"a certificate of {len(data)} bytes; at most {max_bytes} are read")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        strip_cdata=True,
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise InvalidData(f"not a certificate in XML: {error}") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise InvalidData("the certificate has a document type (DTD), which none needs and which is not read")
    if root.tag != f"{{{DCC}}}{ROOT}":
        raise InvalidData(f"the document is a {str(root.tag)[:100]}, not a {{{DCC}}}{ROOT}")
    version = root.get("schemaVersion", "")
    if not _VERSION.fullmatch(version):
        raise InvalidData(f"a certificate of schema version {version[:20]!r}; this program reads 3.x")
    return root


def place(element: Element) -> str:
    """Return where an element is, for messages: its path by local names, and its line."""
    names: list[str] = []
    node: Element | None = element
    while node is not None and node.getparent() is not None:
        parent = node.getparent()
        same = [] if parent is None else list(parent.iterchildren(node.tag))
        index = f"[{same.index(node) + 1}]" if len(same) > 1 else ""
        names.append(f"{local(node)}{index}")
        node = parent
    return f"{'/'.join(reversed(names)) or ROOT} (line {element.sourceline})"


def spot(element: Element) -> str:
    """Return about where an element is, in a time that does not grow with the document: its own name and its line."""
    return f"{local(element)} (line {element.sourceline})"


def local(element: Element) -> str:
    """Return the name of an element without its namespace."""
    return etree.QName(element).localname


def children(parent: Element, tag: str) -> Iterator[Element]:
    """Return the children of that name."""
    return parent.iterchildren(qualified(tag))


def maybe(parent: Element, tag: str) -> Element | None:
    """Return the child of that name, or None. Raises `InvalidData` if there are several."""
    found = list(children(parent, tag))
    if len(found) > 1:
        raise InvalidData(f"{place(parent)}: {tag} is there {len(found)} times")
    return found[0] if found else None


def one(parent: Element, tag: str) -> Element:
    """Return the child of that name. Raises `InvalidData` if there is none, or several."""
    found = maybe(parent, tag)
    if found is None:
        raise InvalidData(f"{place(parent)}: {tag} is missing")
    return found


def first_of(parent: Element, *tags: str) -> Element | None:
    """Return the first child that has one of these names, or None."""
    wanted = {qualified(tag) for tag in tags}
    return next((element for element in parent if element.tag in wanted), None)


def text(element: Element) -> str:
    """Return the text of a leaf, without blanks at its ends. Raises `InvalidData` if there are elements within."""
    if len(element):
        raise InvalidData(f"{place(element)}: there are elements where a text must be")
    return (element.text or "").strip()


def text_of(parent: Element, tag: str) -> str:
    """Return the text of a child, '' if there is none."""
    found = maybe(parent, tag)
    return "" if found is None else text(found)


def number(element: Element) -> float:
    """Return the number of a leaf; NaN where it says NaN. Raises `InvalidData`."""
    return _number(text(element), element)


def numbers(element: Element) -> FloatArray:
    """Return the numbers of a list, float64, shape (n,), n ≥ 1. Raises `InvalidData`."""
    words = text(element).split()
    if not 1 <= len(words) <= _LONGEST_LIST:
        raise InvalidData(f"{place(element)}: a list of {len(words)} numbers")
    return np.array([_number(word, element) for word in words])


def _number(word: str, element: Element) -> float:
    if word == "NaN":
        return math.nan
    if not _NUMBER.fullmatch(word):
        raise InvalidData(f"{place(element)}: {word[:40]!r} is not a number")
    value = float(word)
    if not math.isfinite(value):
        raise InvalidData(f"{place(element)}: {word[:40]!r} is beyond double precision")
    return value


def words(parent: Element, tag: str) -> tuple[str, ...]:
    """Return the words of a list of words, () where there is none."""
    return tuple(text_of(parent, tag).split())


def ref_types(element: Element) -> tuple[str, ...]:
    """Return the refTypes of an element."""
    return tuple(element.get("refType", "").split())


def rich(element: Element | None, lang: str = "en") -> str:
    """Return the text of a `textType` or `richContentType`: in `lang` where there is one, else what comes first."""
    if element is None:
        return ""
    contents = list(children(element, "dcc:content"))
    for wanted in (lang, None):
        chosen = [text(content) for content in contents if content.get("lang") == wanted]
        if chosen:
            return "\n".join(part for part in chosen if part)
    return text(contents[0]) if contents else ""


def name_of(element: Element, tag: str = "dcc:name") -> str:
    """Return the name of an element, '' if it has none."""
    return rich(maybe(element, tag))


def signatures(root: Element) -> int:
    """Return how many signatures (xmldsig) a document carries."""
    return sum(1 for _ in root.iter(f"{{{DS}}}Signature"))
