"""Certificates made for the test, real servers that use them, and a plain socket to talk to those."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.x509.oid import NameOID
from tests.support.process import free_ports

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)


def new_key(kind: str = "ec") -> Any:
    """A key of a kind: "ec", "ec:SECP384R1", "rsa", "rsa:1024", "ed25519", "dsa:1024"."""
    name, _, detail = kind.partition(":")
    if name == "rsa":
        return rsa.generate_private_key(65537, int(detail or 2048))
    if name == "dsa":
        return dsa.generate_private_key(int(detail or 2048))
    if name == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if name == "ed448":
        return ed448.Ed448PrivateKey.generate()
    return ec.generate_private_key(getattr(ec, detail or "SECP256R1")())


@dataclass
class Issued:
    """A certificate with its key and the certificates above it, leaf first."""

    key: Any
    certificate: x509.Certificate
    above: tuple[x509.Certificate, ...] = ()

    @property
    def der(self) -> tuple[bytes, ...]:
        """The chain as a server sends it: the root is not in it."""
        return tuple(
            one.public_bytes(serialization.Encoding.DER)
            for one in (self.certificate, *self.above)
            if one is self.certificate or one.issuer != one.subject
        )

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """The chain and the key as files; `<name>.above.pem` holds what stands above the leaf."""
        chain, key = folder / f"{name}.pem", folder / f"{name}.key"
        above = b"".join(
            one.public_bytes(serialization.Encoding.PEM) for one in self.above if one.issuer != one.subject
        )
        chain.write_bytes(self.pem + above)
        (folder / f"{name}.above.pem").write_bytes(above)
        key.write_bytes(
            self.key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return chain, key


def issue(
    names: Sequence[str] = ("server.test",),
    *,
    by: Issued | None = None,
    key: Any = None,
    authority: bool = False,
    common_name: str = "",
    digest: Any = None,
    start: datetime.datetime = NOW - 10 * DAY,
    end: datetime.datetime = NOW + 80 * DAY,
) -> Issued:
    """A certificate for those names (addresses among them), by an issuer or by itself."""
    key = key or new_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name or (names[0] if names else "no names"))])
    signer = by.key if by else key
    if digest is None and not isinstance(signer, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey):
        digest = hashes.SHA256()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if by:
        above = x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key())
        builder = builder.add_extension(above, critical=False)
    if authority:
        builder = builder.add_extension(
            x509.KeyUsage(True, False, False, False, False, True, True, False, False), critical=True
        )
    elif names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), False)
    certificate = builder.sign(signer, digest)
    return Issued(key, certificate, (by.certificate, *by.above) if by else ())


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Talker(Protocol):
    done: bool

    def start(self) -> bytes: ...

    def feed(self, data: bytes) -> bytes: ...

    def ended(self) -> None: ...


def converse(port: int, talker: Talker, timeout: float = 20.0) -> None:
    """Drive a conversation over a real socket until it is done or the peer is."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as sock:
        sock.sendall(talker.start())
        while not talker.done:
            try:
                data = sock.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                talker.ended()
                return
            if out := talker.feed(data):
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    sock.sendall(out)


@contextlib.contextmanager
def running(command: Callable[[int], Sequence[str | Path]]) -> Iterator[int]:
    """A server on a free port, from when it takes connections until the end of the block."""
    port = free_ports(1)[0]
    process = subprocess.Popen(
        [str(part) for part in command(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
                break
            except OSError:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise AssertionError(f"the server did not start: {process.args!r}") from None
                time.sleep(0.02)
        yield port
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def s_server(leaf: tuple[Path, Path], *options: str | Path) -> Iterator[int]:
    """`openssl s_server` with that chain and key."""
    above = leaf[0].with_suffix(".above.pem")
    chain: list[str | Path] = ["-cert_chain", above] if above.stat().st_size else []
    with running(
        lambda port: ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-quiet", "-cert", leaf[0],
                      "-key", leaf[1], *chain, *options]
    ) as port:  # fmt: skip
        yield port
