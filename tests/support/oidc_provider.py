"""An OpenID provider over real TLS on loopback: discovery, keys, authorization, token. It can be made to lie.

It holds its client to the rules: a registered redirect address, PKCE with S256, the client's secret, a code that counts
once.
"""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import ssl
import threading
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from plimsoll.testing.certificates import TestAuthority

HOST = "127.0.0.1"
CLIENT_ID = "plimsoll"
CLIENT_SECRET = "what the provider gave"


@dataclass
class Provider:
    """`claims` go over those of an honest ID token, None takes one away. `key` signs, `shown` are the keys it shows."""

    issuer: str = ""
    ca: str = ""
    key: RSAKey | ECKey | OctKey = field(default_factory=lambda: ECKey.generate_key("P-256", {"kid": "one"}))
    shown: list[RSAKey | ECKey] | None = None
    algorithm: str = "ES256"
    claims: dict[str, Any] = field(default_factory=dict)
    person: dict[str, Any] = field(default_factory=lambda: {"sub": "42", "preferred_username": "olga"})
    metadata: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    redirects: set[str] = field(default_factory=set)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def honest(self) -> None:
        """As at the beginning, but for its address and what is registered."""
        fresh = Provider()
        for name in ("key", "shown", "algorithm", "claims", "person", "metadata", "error"):
            setattr(self, name, getattr(fresh, name))

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, dict[str, Any] | str]:
        """Status, and a body or where to go."""
        self.asked.append(path)
        if path == "/.well-known/openid-configuration":
            return 200, {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "response_types_supported": ["code"],
                "id_token_signing_alg_values_supported": [self.algorithm],
                **self.metadata,
            }
        if path == "/keys":
            shown = [self.key] if self.shown is None else self.shown
            return 200, {"keys": [one.as_dict(private=False) for one in shown if not isinstance(one, OctKey)]}
        if path == "/authorize":
            return self._authorize(query)
        return 404, {"error": "not_found"}

    def _authorize(self, query: dict[str, str]) -> tuple[int, dict[str, Any] | str]:
        expected = {"client_id": CLIENT_ID, "response_type": "code", "code_challenge_method": "S256"}
        if query["redirect_uri"] not in self.redirects or any(query.get(k) != v for k, v in expected.items()):
            return 400, {"error": "invalid_request"}
        if "openid" not in query["scope"].split() or not query["nonce"] or not query["state"]:
            return 400, {"error": "invalid_scope"}
        back = {"state": query["state"], "iss": self.issuer}
        if self.error:
            back["error"] = self.error
        else:
            back["code"] = secrets.token_urlsafe(16)
            self.codes[back["code"]] = query
        return 303, f"{query['redirect_uri']}?{urllib.parse.urlencode(back)}"

    def token(self, authorization: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        self.asked.append("/token")
        known = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if authorization != f"Basic {known}":
            return 401, {"error": "invalid_client"}
        begun = self.codes.pop(form.get("code", ""), None)
        if begun is None or begun["redirect_uri"] != form.get("redirect_uri"):
            return 400, {"error": "invalid_grant"}
        if create_s256_code_challenge(form.get("code_verifier", "")) != begun["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        honest = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": begun["nonce"]}
        claims = {name: value for name, value in {**honest, **self.person, **self.claims}.items() if value is not None}
        header = {"alg": self.algorithm, "kid": str(self.key.kid or "one")}
        signed = jwt.encode(header, claims, self.key, algorithms=[self.algorithm])
        return 200, {"access_token": "unused", "token_type": "Bearer", "id_token": signed}


@contextlib.contextmanager
def provider(folder: Path) -> Iterator[Provider]:
    """One that runs until the end, with a certificate for 127.0.0.1 of an authority of its own."""
    authority = TestAuthority()
    certificate, key = authority.leaf("manager", "provider", hosts=[HOST]).write(folder, "provider")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    made = Provider(ca=authority.pem.decode())

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urllib.parse.urlsplit(self.path)
            self._send(*made.answer(parts.path, dict(urllib.parse.parse_qsl(parts.query))))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            self._send(*made.token(self.headers.get("authorization", ""), dict(urllib.parse.parse_qsl(body))))

        def _send(self, status: int, said: dict[str, Any] | str) -> None:
            body = b"" if isinstance(said, str) else json.dumps(said).encode()
            self.send_response(status)
            if isinstance(said, str):
                self.send_header("location", said)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def get_request(self) -> tuple[Any, Any]:
            plain, address = self.socket.accept()
            plain.settimeout(10)
            # The handshake is the handler's, whose thread it may hold up.
            return context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False), address

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that does not accept the certificate hangs up: some tests want that."""

    with Server((HOST, 0), Handler) as server:
        made.issuer = f"https://{HOST}:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
