"""What is no SOAP, and XML that means harm: refused in time, with nothing read, fetched or kept."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree
from tests.support.application import application
from tests.support.homes import desk
from tests.unit.manager.api.client import Client, GateConnection

from plimsoll.manager.api.backend import Backend
from plimsoll.manager.api.soap.envelope import SOAP_11, SOAP_12
from plimsoll.manager.api.soap.registry import OPERATIONS

PATH = "/webservice/Manager"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with desk(tmp_path_factory.mktemp("soap")) as at:
        yield Client(application(Backend(at.services, at.home.installation)), GateConnection())


def envelope(body: str, space: str = SOAP_11, head: str = "") -> bytes:
    return (f'{head}<s:Envelope xmlns:s="{space}" xmlns="urn:Manager"><s:Body>{body}</s:Body></s:Envelope>').encode()


def post(client: Client, data: bytes) -> tuple[int, str]:
    answer = client.request("POST", PATH, content=data, headers={"content-type": "text/xml"})
    return answer.status_code, answer.text


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no XML"),
        (b"hello", "no XML"),
        (b"<a/>", "no SOAP envelope"),
        (b'<Envelope xmlns="urn:other"/>', "no SOAP envelope"),
        (envelope(""), "one element"),
        (envelope("<a/><b/>"), "one element"),
        (b"\xff\xfe<\x00a\x00/\x00>", "no XML"),
        (envelope("<getApiVersion/>", head="<!DOCTYPE x>"), "document type"),
        (envelope("<getApiVersion/>", head='<!DOCTYPE x [<!ENTITY a "b">]>'), "document type"),
    ],
)
def test_what_is_no_soap_is_refused_with_400(client: Client, data: bytes, words: str) -> None:
    status, text = post(client, data)
    assert (status, words in text) == (400, True), text


def test_entities_are_never_followed(client: Client, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the secret")
    for declared in (f'<!ENTITY a SYSTEM "file://{secret}">', '<!ENTITY a SYSTEM "http://127.0.0.1:9/x">'):
        data = envelope(
            "<authenticate><username>&a;</username><password>p</password></authenticate>",
            head=f"<!DOCTYPE x [{declared}]>",
        )
        status, text = post(client, data)
        assert status == 400
        assert "the secret" not in text


def test_a_bomb_does_not_go_off(client: Client) -> None:
    lines = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    data = envelope("<getApiVersion>&a9;</getApiVersion>", head=f'<!DOCTYPE x [<!ENTITY a0 "ha">{lines}]>')
    tracemalloc.start()
    status, _ = post(client, data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert status == 400
    assert peak < 20 << 20


@pytest.mark.parametrize("depth", [200, 10_000])
def test_depth_ends(client: Client, depth: int) -> None:
    inner = "<host>" * depth + "</host>" * depth
    status, _ = post(client, envelope(f"<hostCreate>{inner}<sID>x</sID></hostCreate>"))
    assert status in (400, 500)


def test_a_large_body_is_refused_before_it_is_read(client: Client) -> None:
    status, text = post(client, envelope("<getApiVersion>" + "x" * (2 << 20) + "</getApiVersion>"))
    assert status == 413
    assert "larger than" in text


def test_refusals_are_faults_by_name(client: Client) -> None:
    status, text = post(client, envelope("<noSuchThing/>"))
    assert status == 500
    assert "ManagerValidationException" in text
    assert "no operation" in text
    status, text = post(client, envelope("<hostRetrieveAll><sID>nope</sID></hostRetrieveAll>"))
    assert "ManagerTimeoutException" in text
    status, text = post(client, envelope("<hostRetrieveAll/>"))
    assert "sID is missing" in text


def test_soap_12_is_answered_in_kind(client: Client) -> None:
    status, text = post(client, envelope("<getApiVersion/>", SOAP_12))
    assert status == 200
    assert etree.fromstring(text.encode()).tag == f"{{{SOAP_12}}}Envelope"
    _, text = post(client, envelope("<noSuchThing/>", SOAP_12))
    assert "soapenv:Sender" in text


def test_programs_may_be_sloppy(client: Client) -> None:
    """No namespace, other order, elements that we do not know, empty optional ones."""
    body = '<authenticate xmlns=""><extra>1</extra><password>wrong</password><username>admin</username></authenticate>'
    status, text = post(client, envelope(body))
    assert status == 500
    assert "ManagerAuthenticationException" in text


def test_a_header_that_must_be_understood_is_not(client: Client) -> None:
    data = (
        f'<s:Envelope xmlns:s="{SOAP_11}" xmlns="urn:Manager"><s:Header><w s:mustUnderstand="1"/></s:Header>'
        "<s:Body><getApiVersion/></s:Body></s:Envelope>"
    )
    status, text = post(client, data.encode())
    assert status == 400
    assert "not understood" in text


def test_the_description_names_where_it_was_asked_and_nothing_worse(client: Client) -> None:
    for host, shown in (("dsm.example.com:4119", "dsm.example.com:4119"), ('"><x>', "localhost")):
        answer = client.request("GET", f"{PATH}?WSDL", headers={"host": host})
        assert f'location="https://{shown}{PATH}"' in answer.text
        etree.fromstring(answer.content)


_VALUES = st.one_of(
    st.text(
        st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"), max_size=30
    ),
    st.sampled_from(["1", "-1", "99999999999999999999", "true", "LOW", "2026-01-01T00:00:00Z", "INF", "٣", ""]),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_no_arguments_make_the_manager_fail(client: Client, data: st.DataObject) -> None:
    """A fault is a refusal in words; the one that says that the manager failed never comes."""
    one = data.draw(st.sampled_from(sorted(OPERATIONS)))
    root = etree.Element(f"{{{SOAP_11}}}Envelope")
    body = etree.SubElement(etree.SubElement(root, f"{{{SOAP_11}}}Body"), f"{{urn:Manager}}{one}")

    def fill(parent: etree._Element, names: list[str], depth: int) -> None:
        for name in names:
            for _ in range(data.draw(st.integers(0, 2))):
                child = etree.SubElement(parent, f"{{urn:Manager}}{name}")
                child.text = data.draw(_VALUES)
                if depth and data.draw(st.booleans()):
                    fill(child, ["ID", "id", "type", "name", "settingKey", "operator", "rangeFrom"], depth - 1)

    fill(body, [called for _, called, _ in OPERATIONS[one].arguments], 2)
    status, text = post(client, etree.tostring(root))
    assert status in (200, 500)
    assert "the manager failed" not in text


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300), st.integers(0, 200))
def test_no_bytes_make_it_fail(client: Client, noise: bytes, at: int) -> None:
    good = envelope("<hostRetrieve><id>1</id><sID>x</sID></hostRetrieve>")
    status, text = post(client, good[:at] + noise + good[at:])
    assert status in (200, 400, 500)
    assert "the manager failed" not in text
