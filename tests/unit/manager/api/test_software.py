"""/api/software: a file in the body, what is answered before it is read, and the bounds of everything else."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from tests.support.releases import Publisher
from tests.unit.manager.api.conftest import Made

from plimsoll.manager.api import bounds
from plimsoll.messages import bundle

CONTENT = bytes(range(256)) * 20_000


@pytest.fixture(scope="module")
def publisher(made: Made) -> Publisher:
    return Publisher().trusted_by(made.backend.services)


def header(signature: str) -> dict[str, str]:
    return {"release-signature": base64.b64encode(signature.encode()).decode()}


@pytest.mark.rule("R9")
def test_a_package_comes_in_by_the_body_and_goes_out_again(made: Made, publisher: Publisher) -> None:
    assert len(CONTENT) > bounds.MAX_BODY
    client = made.remote(made.init.api_key)
    signature = publisher.sign(CONTENT)
    assert client.post("/api/software/check", {"signature": signature}) == {"known": None}
    answer = client.request("POST", "/api/software", content=CONTENT, headers=header(signature))
    assert answer.status_code == 200, answer.text
    package = answer.json()
    assert (package["new"], package["version"], package["who"]) == (True, "12.1.0", "apikey:1")
    assert client.get("/api/software", platform="Debian_12")["software"] == [client.get("/api/software/1")]
    assert client.get("/api/software/newest", platform="Debian_12", architecture="x86_64")["id"] == 1
    got = client.request("GET", "/api/software/1/file")
    assert (got.content, got.headers["content-length"]) == (CONTENT, str(len(CONTENT)))
    assert package["file"] in got.headers["content-disposition"]
    part = client.request("GET", "/api/software/1/file", headers={"range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, CONTENT[100:200])
    assert client.post("/api/software/check", {"signature": signature})["known"]["id"] == 1
    again = client.request("POST", "/api/software", content=b"", headers=header(signature))
    assert (again.status_code, again.json()["new"]) == (200, False)
    assert client.request("DELETE", "/api/software/1").status_code == 200
    client.get("/api/software/1", expect=404)


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({}, "no release signature"),
        ({"release-signature": "not base64!"}, "in base64"),
        (header(Publisher().sign(CONTENT)), "is not trusted here"),
    ],
    ids=["none", "unreadable", "stranger"],
)
def test_a_body_without_a_signature_that_holds_is_refused(
    made: Made, publisher: Publisher, headers: dict[str, str], said: str
) -> None:
    answer = made.local().request("POST", "/api/software", content=CONTENT, headers=headers)
    assert answer.status_code == 400
    assert said in answer.json()["message"]
    assert "nothing" in answer.json()["message"]


def test_a_body_that_is_not_what_was_signed_is_refused(made: Made, publisher: Publisher) -> None:
    signature = publisher.sign(CONTENT, version="12.4.0")
    for body, said in (
        (CONTENT[:-1], "cut off"),
        (CONTENT + b"x", "longer than"),
        (bytes(len(CONTENT)), "not the one"),
    ):
        answer = made.local().request("POST", "/api/software", content=body, headers=header(signature))
        assert answer.status_code == 400
        assert said in answer.json()["message"]
    assert made.local().get("/api/software", version="12.4.0")["software"] == []


def test_only_an_upload_may_be_large(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    client = made.local()
    for path in ("/api/software/check", "/api/software/keys", "/api/software/1", "/api/policies"):
        assert client.request("POST", path, content=bytes(bounds.MAX_BODY + 1)).status_code == 413, path
    monkeypatch.setitem(bounds.UPLOAD, "/api/software", 1000)
    answer = client.request("POST", "/api/software", content=bytes(1001))
    assert answer.status_code == 413
    assert "1000 bytes" in answer.json()["message"]


def test_keys_are_trusted_by_administrators_alone(made: Made, publisher: Publisher) -> None:
    client = made.local()
    assert client.get("/api/software/keys")["keys"][0]["id"] == publisher.public.id
    key = client.post("/api/apikeys", {"name": "operator", "role": "operator"})["secretKey"]
    body = {"text": Publisher().pem}
    answer = made.remote(key).request("POST", "/api/software/keys", json=body)
    assert answer.status_code == 403
    assert "software.trust" in answer.json()["message"]
    client.post("/api/software/keys", body, expect=409)
    client.post("/api/software/keys", {"text": "-----BEGIN NONSENSE"}, expect=400)


def test_parameters_that_nobody_knows_are_refused(made: Made) -> None:
    made.local().get("/api/software", expect=400, plattform="Debian_12")
    made.local().get("/api/software", expect=400, version="newest")
    made.local().get("/api/software/newest", expect=404, platform="Plan9", architecture="x86_64")


def test_a_bundle_is_a_body_too(made: Made, publisher: Publisher, tmp_path: Path) -> None:
    paths = [publisher.write(tmp_path, CONTENT[:n], version=f"13.0.{n}") for n in (100, 2_000_000)]
    out = io.BytesIO()
    bundle.write(out, [(path, path.with_name(f"{path.name}.sig").read_text()) for path in paths], publisher.key)
    client = made.remote(made.init.api_key)
    answer = client.request("POST", "/api/software/bundles", content=out.getvalue())
    assert answer.status_code == 200, answer.text
    assert [(one["version"], one["new"]) for one in answer.json()["software"]] == [
        ("13.0.100", True),
        ("13.0.2000000", True),
    ]
    again = client.request("POST", "/api/software/bundles", content=out.getvalue())
    assert [one["new"] for one in again.json()["software"]] == [False, False]
    for content in (b"", b"no bundle", out.getvalue()[:5000]):
        refused = client.request("POST", "/api/software/bundles", content=content)
        assert refused.status_code == 400
        assert "cut off" in refused.json()["message"] or "no bundle" in refused.json()["message"]
    nobody = made.remote("1:x").request("POST", "/api/software/bundles", content=out.getvalue())
    assert nobody.status_code == 401
