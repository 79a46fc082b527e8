"""Elements of a certificate: namespaces, and the texts that the schema allows in them."""

from __future__ import annotations

import re
from typing import Final

from lxml import etree

from dyncal.domain.errors import InvalidData

Element = etree._Element  # noqa: SLF001  the class has no public name

DCC: Final = "https://ptb.de/dcc"
SI: Final = "https://ptb.de/si"
DS: Final = "http://www.w3.org/2000/09/xmldsig#"
XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
NAMESPACES: Final = {"dcc": DCC, "si": SI, "xsi": XSI}

_ILLEGAL: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_LANGUAGE: Final = re.compile(r"[a-z]{2}")


def qualified(tag: str) -> str:
    """Return ``{namespace}local`` for ``dcc:local`` or ``si:local``."""
    prefix, _, local = tag.partition(":")
    return f"{{{NAMESPACES[prefix]}}}{local}"


def child(parent: Element, tag: str, text: str | None = None, *, ref_types: tuple[str, ...] = ()) -> Element:
    """Append an element, with a text and with refTypes, and return it."""
    element = etree.SubElement(parent, qualified(tag))
    if ref_types:
        element.set("refType", " ".join(token(name, "refType") for name in ref_types))
    if text is not None:
        element.text = text
    return element


def clean(text: str, what: str) -> str:
    """Return a text without blanks at its ends. Raises `InvalidData` if it is empty or holds what XML cannot."""
    stripped = text.strip()
    if not stripped:
        raise InvalidData(f"{what} is empty")
    if _ILLEGAL.search(stripped):
        raise InvalidData(f"{what} {stripped[:60]!r} holds a character that XML has no place for")
    return stripped


def token(text: str, what: str) -> str:
    """Return a text that may stand in a list: one without blanks. Raises `InvalidData`."""
    word = clean(text, what)
    if any(letter.isspace() for letter in word):
        raise InvalidData(f"{what} {word[:60]!r} must not hold blanks")
    return word


def country(text: str, what: str) -> str:
    """Return a country code, two capital letters. Raises `InvalidData`."""
    if not _COUNTRY.fullmatch(text):
        raise InvalidData(f"{what} {text[:20]!r} is no country code of ISO 3166-1, such as DE")
    return text


def language(text: str) -> str:
    """Return a language code, two small letters. Raises `InvalidData`."""
    if not _LANGUAGE.fullmatch(text):
        raise InvalidData(f"language {text[:20]!r} is no code of ISO 639-1, such as en")
    return text


def named(parent: Element, tag: str, text: str, what: str, lang: str = "en") -> Element:
    """Append a text element (`textType` or `richContentType`) with one content; nothing where `text` is empty."""
    element = child(parent, tag)
    content = child(element, "dcc:content", clean(text, what))
    content.set("lang", lang)
    return element


def optional(parent: Element, tag: str, text: str) -> None:
    """Append an element with a text, unless the text is empty."""
    if text:
        child(parent, tag, clean(text, tag))
