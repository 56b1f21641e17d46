"""The WSDL 1.1 of what is declared: document/literal wrapped, ``urn:Manager``, every local element qualified."""

from __future__ import annotations

import dataclasses
import enum
import functools
import typing
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from lxml import etree

from plimsoll.manager.api.markup import Element
from plimsoll.manager.api.soap.codec import NAMESPACE, Kind, fields_of
from plimsoll.manager.api.soap.envelope import FAULT_NAMES
from plimsoll.manager.api.soap.registry import OPERATIONS, Operation

XSD = "http://www.w3.org/2001/XMLSchema"
WSDL = "http://schemas.xmlsoap.org/wsdl/"
SOAP = "http://schemas.xmlsoap.org/wsdl/soap/"

_PLAIN = {str: "xsd:string", int: "xsd:int", bool: "xsd:boolean", datetime: "xsd:dateTime"}


@functools.cache
def document(address: str) -> bytes:
    """The description, with that address of the service."""
    root = etree.Element(
        f"{{{WSDL}}}definitions",
        nsmap={None: WSDL, "soap": SOAP, "xsd": XSD, "tns": NAMESPACE},  # type: ignore[dict-item]  # the stubs know no default namespace
        name="ManagerService",
        targetNamespace=NAMESPACE,
    )
    schema = _sub(_sub(root, WSDL, "types"), XSD, "schema", targetNamespace=NAMESPACE, elementFormDefault="qualified")
    for kind in sorted(_declared(), key=lambda one: str(one.__name__)):
        _type(schema, kind)
    for name in FAULT_NAMES:
        inner = _sub(_sub(_sub(schema, XSD, "element", name=name), XSD, "complexType"), XSD, "sequence")
        _sub(inner, XSD, "element", name="message", type="xsd:string")
        message = _sub(root, WSDL, "message", name=name)
        _sub(message, WSDL, "part", name="fault", element=f"tns:{name}")
    for one in OPERATIONS.values():
        _elements(schema, one)
        for called in (f"{one.name}Request", f"{one.name}Response"):
            element = one.name if called.endswith("Request") else called
            message = _sub(root, WSDL, "message", name=called)
            _sub(message, WSDL, "part", name="parameters", element=f"tns:{element}")
    _port(root)
    _binding(root)
    port = _sub(
        _sub(root, WSDL, "service", name="ManagerService"), WSDL, "port", name="Manager", binding="tns:ManagerBinding"
    )
    _sub(port, SOAP, "address", location=address)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)


def _sub(parent: Element, space: str, tag: str, **attributes: str) -> Element:
    return etree.SubElement(parent, f"{{{space}}}{tag}", attributes)


def _declared() -> set[Any]:
    """Every type that an operation takes or gives, and those within."""
    found: set[Any] = set()

    def look(kind: Kind) -> None:
        if kind.plain in _PLAIN or kind.plain in found:
            return
        found.add(kind.plain)
        if dataclasses.is_dataclass(kind.plain):
            for _, _, inner in fields_of(typing.cast(type, kind.plain)):
                look(inner)

    for one in OPERATIONS.values():
        for _, _, kind in one.arguments:
            look(kind)
        if one.result is not None:
            look(one.result)
    return found


def _type(schema: Element, kind: Any) -> None:
    if issubclass(kind, enum.StrEnum):
        simple = _sub(_sub(schema, XSD, "simpleType", name=kind.__name__), XSD, "restriction", base="xsd:string")
        for value in kind:
            _sub(simple, XSD, "enumeration", value=value.value)
        return
    sequence = _sub(_sub(schema, XSD, "complexType", name=kind.__name__), XSD, "sequence")
    _fields(sequence, ((called, inner) for _, called, inner in fields_of(kind)))


def _fields(sequence: Element, fields: Iterable[tuple[str, Kind]]) -> None:
    for called, kind in fields:
        attributes = {"name": called, "type": _PLAIN.get(kind.plain) or f"tns:{kind.plain.__name__}"}
        if kind.optional:
            attributes["minOccurs"] = "0"
        if kind.many:
            attributes["maxOccurs"] = "unbounded"
        _sub(sequence, XSD, "element", **attributes)


def _elements(schema: Element, one: Operation) -> None:
    request = _sub(_sub(_sub(schema, XSD, "element", name=one.name), XSD, "complexType"), XSD, "sequence")
    _fields(request, ((called, kind) for _, called, kind in one.arguments))
    answer = _sub(_sub(_sub(schema, XSD, "element", name=f"{one.name}Response"), XSD, "complexType"), XSD, "sequence")
    if one.result is not None:
        _fields(answer, [(f"{one.name}Return", one.result)])


def _port(root: Element) -> None:
    port = _sub(root, WSDL, "portType", name="Manager")
    for one in OPERATIONS.values():
        made = _sub(port, WSDL, "operation", name=one.name)
        _sub(made, WSDL, "documentation").text = one.text
        _sub(made, WSDL, "input", name=f"{one.name}Request", message=f"tns:{one.name}Request")
        _sub(made, WSDL, "output", name=f"{one.name}Response", message=f"tns:{one.name}Response")
        for name in FAULT_NAMES:
            _sub(made, WSDL, "fault", name=name, message=f"tns:{name}")


def _binding(root: Element) -> None:
    binding = _sub(root, WSDL, "binding", name="ManagerBinding", type="tns:Manager")
    _sub(binding, SOAP, "binding", style="document", transport="http://schemas.xmlsoap.org/soap/http")
    for one in OPERATIONS.values():
        made = _sub(binding, WSDL, "operation", name=one.name)
        _sub(made, SOAP, "operation", soapAction="")
        for direction in ("input", "output"):
            said = _sub(made, WSDL, direction, name=f"{one.name}{'Request' if direction == 'input' else 'Response'}")
            _sub(said, SOAP, "body", use="literal")
        for name in FAULT_NAMES:
            _sub(_sub(made, WSDL, "fault", name=name), SOAP, "fault", name=name, use="literal")
