"""XML as both earlier APIs read and write it: hostile documents end here, and no text makes one that nobody can read.

Rules of this file: no document type, so no entity, ever; nothing is fetched; what libxml2 itself bounds (depth 256,
text of 10 MB) stays bounded.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from lxml import etree

Element: TypeAlias = etree._Element

#: XML 1.0 §2.2: no other control characters, no halves of pairs.
_NOT_HOLDABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class NoXml(Exception):  # noqa: N818 - names a condition
    """The document is not read; the text says why."""


def parse(data: bytes) -> Element:
    """The root, without comments and processing instructions. Raises NoXml."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False,
        remove_comments=True, remove_pis=True,
    )  # fmt: skip
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise NoXml(f"the body is no XML: {error.msg}") from None
    except ValueError as error:
        raise NoXml(f"the body is no XML: {error}") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise NoXml("a message has no document type; nothing was read")
    return root


def local(element: Element) -> str:
    """The element's name without its namespace."""
    return etree.QName(element).localname


def children(element: Element) -> list[Element]:
    """Its elements; what is left of entities that were not resolved is none."""
    return [child for child in element if isinstance(child.tag, str)]


def holdable(text: str) -> str:
    """The text with what XML cannot hold replaced: a peer may have put anything into a name."""
    return _NOT_HOLDABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def serialized(root: Element) -> bytes:
    """The document as UTF-8, with its declaration."""
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")
