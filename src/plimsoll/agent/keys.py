"""Keys, certificate requests and proofs, made in a short child process.

``python -m plimsoll.agent.keys <verb>`` reads one JSON object on standard input and writes one on standard output:
secrets never stand on a command line. Only the child imports `cryptography`, which would cost the resident agent
10 MiB; the parent calls `ask`.
"""

from __future__ import annotations

import base64
import datetime
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

#: A child that takes longer than this hangs.
TIMEOUT = 60.0

Answer = dict[str, Any]


class KeysError(Exception):
    """The child refused; the message is for people."""


def ask(verb: str, **question: Any) -> Answer:
    """Runs the child with one question and returns its answer. Blocks for some 200 ms."""
    # -P: a module that lies in the current folder must not be imported in our place.
    command = [sys.executable, "-P", "-m", "plimsoll.agent.keys", verb]
    text = msgspec.json.encode(question)
    try:
        done = subprocess.run(command, check=False, input=text, capture_output=True, timeout=TIMEOUT)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KeysError(f"the key helper did not answer ({type(error).__name__})") from None
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise KeysError(lines[-1] if lines else f"the key helper ended with status {done.returncode}")
    answer: Answer = msgspec.json.decode(done.stdout)
    return answer


def _request(question: Answer) -> Answer:
    """A fresh P-256 key and a certificate request for it; the manager alone decides what the certificate says."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    # A common name holds 64 characters at most.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, (question.get("name") or "agent")[:64])])
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return {"key": _key_pem(key), "csr": _pem(csr)}


def _bootstrap(question: Answer) -> Answer:
    """A self-signed certificate: what an agent shows before it is activated. It proves nothing by itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    given = question.get("key")
    key: Any = (
        serialization.load_pem_private_key(given.encode(), None) if given else ec.generate_private_key(ec.SECP256R1())
    )
    now = datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "plimsoll bootstrap")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=1))
    builder = builder.not_valid_after(now + datetime.timedelta(days=30))
    return {"key": _key_pem(key), "certificate": _pem(builder.sign(key, hashes.SHA256()))}


def _sign(question: Answer) -> Answer:
    """The proof that the old key is still ours: its signature over the new request, base64."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = serialization.load_pem_private_key(question["key"].encode(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise KeysError("the agent's key is not an elliptic-curve key")
    signature = key.sign(question["data"].encode(), ec.ECDSA(hashes.SHA256()))
    return {"proof": base64.b64encode(signature).decode()}


def _inspect(question: Answer) -> Answer:
    """Checks an issued certificate against our key and the CAs, and tells its dates and names."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import serialization

    certificate = x509.load_pem_x509_certificate(question["certificate"].encode())

    def issued_by(authority: x509.Certificate) -> bool:
        try:
            certificate.verify_directly_issued_by(authority)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True

    if "key" in question:
        key = serialization.load_pem_private_key(question["key"].encode(), None)
        if certificate.public_key() != key.public_key():
            raise KeysError("the certificate was issued for another key than ours")
    if "ca" in question:
        authorities = x509.load_pem_x509_certificates(question["ca"].encode())
        if not any(map(issued_by, authorities)):
            raise KeysError("the certificate was not issued by the installation's CA")
    return {
        "not_before": certificate.not_valid_before_utc.timestamp(),
        "not_after": certificate.not_valid_after_utc.timestamp(),
        "uris": _uris(certificate),
    }


def _renewed(question: Answer) -> Answer:
    """The CAs to trust (PEM) once those that have ended are replaced by renewed certificates that a peer showed.

    Nobody vouches for what was shown, so it has to vouch for itself: the key and the name of a CA that is trusted and
    has ended, a signature by that key, and dates that are good now (seconds since the epoch).
    """
    from cryptography import x509

    now = datetime.datetime.fromtimestamp(question["now"], datetime.UTC)
    trusted = x509.load_pem_x509_certificates(question["ca"].encode())
    shown = [x509.load_der_x509_certificate(base64.b64decode(one)) for one in question["shown"]]
    if all(now < one.not_valid_after_utc for one in trusted):
        raise KeysError("none of the CAs that this computer trusts has ended; those are kept")
    renewed = {
        one: next((other for other in shown if _renews(other, one, now)), one)
        for one in trusted
        if one.not_valid_after_utc <= now
    }
    if all(fresh is one for one, fresh in renewed.items()):
        raise KeysError(
            "the CA that this computer trusts has ended, and what was shown is no renewed certificate of it"
        )
    found = dict.fromkeys(renewed.get(one, one) for one in trusted)
    return {"ca": "".join(map(_pem, found))}


def _renews(shown: x509.Certificate, ended: x509.Certificate, now: datetime.datetime) -> bool:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    if shown.public_key() != ended.public_key() or shown.subject != ended.subject:
        return False
    if not shown.not_valid_before_utc <= now < shown.not_valid_after_utc:
        return False
    try:
        # By itself: one that another CA made for this key would bring that CA's word in.
        shown.verify_directly_issued_by(shown)
        if not shown.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
        return shown.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False


def _uris(certificate: x509.Certificate) -> list[str]:
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(uri) for uri in names.get_values_for_type(x509.UniformResourceIdentifier)]


def _key_pem(key: PrivateKeyTypes) -> str:
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _pem(thing: x509.Certificate | x509.CertificateSigningRequest) -> str:
    from cryptography.hazmat.primitives import serialization

    return thing.public_bytes(serialization.Encoding.PEM).decode()


VERBS: dict[str, Callable[[Answer], Answer]] = {
    "request": _request,
    "bootstrap": _bootstrap,
    "sign": _sign,
    "inspect": _inspect,
    "renewed": _renewed,
}


def main(arguments: list[str]) -> int:
    """The child's entry point."""
    if len(arguments) != 1 or arguments[0] not in VERBS:
        sys.stderr.write(f"expected one of: {', '.join(VERBS)}\n")
        return 2
    try:
        answer = VERBS[arguments[0]](msgspec.json.decode(sys.stdin.buffer.read()))
    except (KeysError, ValueError, KeyError) as error:
        sys.stderr.write(f"{error if isinstance(error, KeysError) else 'the key helper cannot read its input'}\n")
        return 1
    sys.stdout.buffer.write(msgspec.json.encode(answer))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
