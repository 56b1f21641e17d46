"""SOAP's frame: a message into its one element, an answer or a fault out of it.

Sources: SOAP 1.1 (W3C note; §3: no document type), WS-I Basic Profile 1.1 (R1126: a fault is HTTP status 500).
"""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from plimsoll.manager.api import markup
from plimsoll.manager.api.markup import Element, local, serialized
from plimsoll.manager.api.soap.codec import NAMESPACE
from plimsoll.manager.ports import (
    BadInput,
    Conflict,
    Forbidden,
    NotFound,
    ServiceError,
    TooMany,
    Unauthenticated,
    Unavailable,
)

SOAP_11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP_12 = "http://www.w3.org/2003/05/soap-envelope"


class SessionEnded(Unauthenticated):
    """There is no such session, or no more: sign in again."""


#: The name of the fault for each kind of refusal, the most exact first.
FAULTS: tuple[tuple[type[Exception], str], ...] = (
    (SessionEnded, "ManagerTimeoutException"),
    (Unauthenticated, "ManagerAuthenticationException"),
    (Forbidden, "ManagerAuthorizationException"),
    (NotFound, "ManagerValidationException"),
    (BadInput, "ManagerValidationException"),
    (Conflict, "ManagerIntegrityConstraintException"),
    (Unavailable, "ManagerCommunicationException"),
    # The reference has no fault for it; what its programs do at this one, wait and come again, is right here too.
    (TooMany, "ManagerCommunicationException"),
)
ANY_FAULT = "ManagerException"
FAULT_NAMES = tuple(dict.fromkeys([*(name for _, name in FAULTS), ANY_FAULT]))


class NotSoap(Exception):  # noqa: N818 - names a condition
    """The body is no SOAP message; the text says why."""


@dataclass(frozen=True, slots=True)
class Message:
    """The request's one element, and the namespace of the envelope around it."""

    body: Element
    envelope: str


def parse(data: bytes) -> Message:
    """Raises NotSoap."""
    try:
        root = markup.parse(data)
    except markup.NoXml as error:
        raise NotSoap(str(error)) from None
    space = etree.QName(root).namespace
    if space not in (SOAP_11, SOAP_12) or local(root) != "Envelope":
        raise NotSoap("the body is no SOAP envelope")
    body = root.find(f"{{{space}}}Body")
    content = [] if body is None else markup.children(body)
    if len(content) != 1:
        raise NotSoap("a SOAP body has one element, which names the operation")
    header = root.find(f"{{{space}}}Header")
    for block in () if header is None else header:
        if block.get(f"{{{space}}}mustUnderstand") in ("1", "true"):
            raise NotSoap(f"the header {etree.QName(block).localname} is not understood here")
    assert isinstance(space, str)
    return Message(content[0], space)


def frame(space: str) -> tuple[Element, Element]:
    """An empty envelope, and its body."""
    root = etree.Element(f"{{{space}}}Envelope", nsmap={"soapenv": space, None: NAMESPACE})  # type: ignore[dict-item]  # the stubs know no default namespace
    return root, etree.SubElement(root, f"{{{space}}}Body")


def fault(space: str, error: Exception) -> bytes:
    """The fault that fits, by name; what failed inside us says no more than that."""
    name = next((called for kind, called in FAULTS if isinstance(error, kind)), ANY_FAULT)
    said = error.message if isinstance(error, ServiceError) else "the manager failed at this; its log says why"
    said = markup.holdable(said)
    # SOAP 1.1, 4.4.1: what may succeed later as it is, is the server's.
    ours = isinstance(error, Unavailable | TooMany) or not isinstance(error, ServiceError)
    root, body = frame(space)
    made = etree.SubElement(body, f"{{{space}}}Fault")
    if space == SOAP_11:
        etree.SubElement(made, "faultcode").text = "soapenv:Server" if ours else "soapenv:Client"
        etree.SubElement(made, "faultstring").text = said
        detail = etree.SubElement(made, "detail")
    else:
        code = etree.SubElement(made, f"{{{space}}}Code")
        etree.SubElement(code, f"{{{space}}}Value").text = "soapenv:Receiver" if ours else "soapenv:Sender"
        reason = etree.SubElement(made, f"{{{space}}}Reason")
        text = etree.SubElement(reason, f"{{{space}}}Text")
        text.set("{http://www.w3.org/XML/1998/namespace}lang", "en")
        text.text = said
        detail = etree.SubElement(made, f"{{{space}}}Detail")
    named = etree.SubElement(detail, f"{{{NAMESPACE}}}{name}")
    etree.SubElement(named, f"{{{NAMESPACE}}}message").text = said
    return serialized(root)
