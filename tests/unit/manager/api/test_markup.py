"""XML both ways: what is not read, and that any text can be written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from plimsoll.manager.api import markup
from plimsoll.manager.api.soap.envelope import SOAP_11, fault
from plimsoll.manager.ports import BadInput


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no XML"),
        (b"<a>", "no XML"),
        (b"\x00", "no XML"),
        (b"<!DOCTYPE a><a/>", "document type"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "document type"),
        (b"<a>" * 300 + b"</a>" * 300, "no XML"),
    ],
)
def test_what_is_not_read(data: bytes, words: str) -> None:
    with pytest.raises(markup.NoXml, match=words):
        markup.parse(data)


def test_comments_and_instructions_are_no_elements() -> None:
    root = markup.parse(b'<a xmlns="urn:x"><!-- c --><?p i?><b/></a>')
    assert [markup.local(child) for child in markup.children(root)] == ["b"]


@given(st.text(st.characters(codec=None), max_size=40))
def test_any_text_can_be_written_and_read_again(text: str) -> None:
    root = etree.Element("a")
    root.text = markup.holdable(text)
    read = markup.parse(markup.serialized(root))
    assert len(read.text or "") == len(text)
    assert etree.fromstring(fault(SOAP_11, BadInput(text))) is not None


def test_what_xml_cannot_hold_is_replaced_in_a_fault() -> None:
    assert "no \N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER} name".encode() in fault(
        SOAP_11, BadInput("no \x00\ud800 name")
    )
