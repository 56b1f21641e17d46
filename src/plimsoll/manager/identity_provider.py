"""The wire of OIDC: a provider's description, its keys, a code for an ID token, and whether that token holds.

Rules of this file: https with name and chain checked, never below TLS 1.2; every wait and every answer is bounded,
redirects are not followed; only `ProviderError` escapes, in words for an administrator, and no secret is in them.
"""

from __future__ import annotations

import contextlib
import json
import ssl
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from authlib.oauth2.base import OAuth2Error
from authlib.oauth2.client import OAuth2Client
from authlib.oidc.discovery import get_well_known_url
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

#: For one answer, in seconds.
SECONDS = 10.0
_ANSWER = 1 << 20
#: How far clocks may differ, in seconds; OpenID Connect Core 3.1.3.7 leaves the number to us.
LEEWAY = 60
#: Signatures by a key that only the provider has: one with the client's secret would say nothing about who made it.
ALGORITHMS = (
    "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA", "Ed25519", "Ed448",
)  # fmt: skip
_METHODS = ("client_secret_basic", "client_secret_post")


class ProviderError(Exception):
    """The provider was not reached, refused, or said something that does not hold."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who we are at which provider. `ca` are PEM certificates, empty for the system's."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    scopes: str = "openid"
    ca: str = ""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What we need of OpenID Connect Discovery 1.0, 3."""

    authorization: str
    token: str
    keys: str
    method: str


def is_https(url: str) -> bool:
    """Whether it is an address that we would send a secret to."""
    try:
        parts = urllib.parse.urlsplit(url)
        usable = parts.scheme == "https" and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
    plain = not (parts.username or parts.password or parts.fragment)
    return usable and plain and not any(mark.isspace() for mark in url) and len(url) <= 2000


class Provider:
    """One provider as one client sees it; holds nothing but that."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def metadata(self) -> Metadata:
        """Asks the provider for its description."""
        with self._http() as http:
            said = _json(http, get_well_known_url(self._client.issuer, external=True))
        # Discovery 4.3: otherwise one who can write there speaks for another.
        if said.get("issuer") != self._client.issuer:
            raise ProviderError(
                f"the provider calls itself {str(said.get('issuer'))[:200]!r}, not {self._client.issuer!r}: set the"
                " issuer exactly as the provider writes it"
            )

        def address(name: str) -> str:
            value = said.get(name)
            if not isinstance(value, str) or not is_https(value):
                raise ProviderError(f"the provider's description has no https address as {name}")
            return value

        # Core 9: client_secret_basic is what a provider takes that does not say.
        offered = said.get("token_endpoint_auth_methods_supported") or [_METHODS[0]]
        method = next((one for one in _METHODS if one in offered), "")
        if self._client.client_secret and not method:
            raise ProviderError(f"the provider takes the client's secret in neither way that is known here: {_METHODS}")
        if not self._client.client_secret:
            method = "none"
        return Metadata(address("authorization_endpoint"), address("token_endpoint"), address("jwks_uri"), method)

    def authorization_url(self, metadata: Metadata, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Where the browser goes. PKCE with S256 (RFC 7636)."""
        with self._http() as http:
            url, _ = self._oauth(http, metadata, redirect_uri).create_authorization_url(
                metadata.authorization, state=state, code_verifier=verifier, nonce=nonce
            )
        return str(url)

    def redeem(self, metadata: Metadata, redirect_uri: str, code: str, verifier: str) -> str:
        """The ID token that the code stands for, unchecked."""
        with self._http() as http:
            try:
                token = self._oauth(http, metadata, redirect_uri).fetch_token(
                    metadata.token, grant_type="authorization_code", code=code, code_verifier=verifier
                )
            except OAuth2Error as error:
                raise ProviderError(f"the provider did not take the code: {error.error}"[:300]) from None
            except UnicodeError:
                raise ProviderError("the client's id or secret has characters that HTTP cannot carry") from None
        found = token.get("id_token")
        if not isinstance(found, str):
            raise ProviderError("the provider gave no ID token; does the client have the scope openid?")
        return found

    def claims(self, metadata: Metadata, id_token: str, nonce: str, now: float) -> Mapping[str, Any]:
        """What the token says, once its signature and all that Core 3.1.3.7 asks for were checked."""
        with self._http() as http:
            keys = _json(http, metadata.keys)
        registry = jwt.JWTClaimsRegistry(
            now=int(now),
            leeway=LEEWAY,
            iss={"essential": True, "value": self._client.issuer},
            aud={"essential": True, "value": self._client.client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            token = jwt.decode(id_token, KeySet.import_key_set(_public(keys)), algorithms=ALGORITHMS)
            registry.validate(token.claims)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise ProviderError(f"the ID token does not hold: {error or type(error).__name__}"[:300]) from None
        party = token.claims.get("azp")
        audience = token.claims["aud"]
        if (isinstance(audience, list) and len(audience) > 1 and party is None) or (
            party is not None and party != self._client.client_id
        ):
            raise ProviderError("the ID token was made for another client")
        return token.claims

    def _oauth(self, http: _Http, metadata: Metadata, redirect_uri: str) -> OAuth2Client:
        return _Oauth(
            http,
            client_id=self._client.client_id,
            client_secret=self._client.client_secret or None,
            token_endpoint_auth_method=metadata.method,
            scope=self._client.scopes,
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
        )

    @contextlib.contextmanager
    def _http(self) -> Iterator[_Http]:
        try:
            context = ssl.create_default_context(cadata=self._client.ca or None)
        except (ValueError, ssl.SSLError):
            raise ProviderError("ca does not hold certificates in PEM") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        with httpx.Client(verify=context, timeout=SECONDS, follow_redirects=False) as client:
            yield _Http(client)


class _Http:
    """Requests whose answers are bounded and whose failures are `ProviderError`."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def ask(self, method: str, url: str, body: str = "", headers: Mapping[str, str] | None = None) -> httpx.Response:
        try:
            with self._client.stream(method, url, content=body or None, headers=dict(headers or {})) as answer:
                text = b""
                for piece in answer.iter_bytes():
                    text += piece
                    if len(text) > _ANSWER:
                        raise ProviderError(f"{_host(url)} answers with more than {_ANSWER} bytes")
                return httpx.Response(answer.status_code, content=text, request=answer.request)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ProviderError(f"{_host(url)}: {_words(error)}") from None


class _Oauth(OAuth2Client):  # type: ignore[misc]  # authlib has no types
    """authlib's client over our own requests: its own sessions bring a client library that it calls outdated."""

    def _fetch_token(
        self, url: str, body: str = "", headers: Any = None, auth: Any = None, method: str = "POST", **_: Any
    ) -> Any:
        url, headers, body = auth.prepare(method, url, dict(headers or {}), body)
        answer = self.session.ask(method, url, body, headers)
        if answer.status_code >= 500:
            raise ProviderError(f"{_host(url)} answered {answer.status_code}")
        try:
            said = answer.json()
        except ValueError:
            said = None
        if not isinstance(said, dict):
            raise ProviderError(f"{_host(url)} answered {answer.status_code}, and not with a JSON object")
        return self.parse_response_token(answer)


def _public(keys: Mapping[str, Any]) -> Any:
    """The keys that may sign; of a kind that is not known here, or for something else, they are left out."""
    known = [
        one
        for one in keys.get("keys") or ()
        if isinstance(one, dict) and one.get("kty") in ("RSA", "EC", "OKP") and one.get("use", "sig") == "sig"
    ]
    if not known:
        raise ProviderError("the provider shows no key that could sign an ID token")
    return {"keys": known}


def _json(http: _Http, url: str) -> dict[str, Any]:
    answer = http.ask("GET", url, headers={"accept": "application/json"})
    hint = "; redirects are not followed" if 300 <= answer.status_code < 400 else ""
    if answer.status_code != httpx.codes.OK:
        raise ProviderError(f"{url} answered {answer.status_code}{hint}")
    try:
        said = json.loads(answer.content)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise ProviderError(f"{url} did not answer with a JSON object")
    return said


def _host(url: str) -> str:
    return urllib.parse.urlsplit(url).netloc


def _words(error: Exception) -> str:
    text = str(error) or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return f"its certificate is not accepted ({text.rpartition(': ')[2]}): set its CA as ca"
    return f"it cannot be reached: {text}"
