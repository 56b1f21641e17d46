"""The one-time code of a manager-initiated activation, and the proofs that both sides know it.

The agent that waits for its manager prints a code; an administrator types it at the manager. Each side then shows that
it knows the code without saying it: an HMAC over the agent's bootstrap certificate and the manager's CA certificate,
so that somebody in the middle, who has to show certificates of his own, cannot pass a proof on. An impostor who is
visited can try codes against the manager's proof at leisure, which is why a code carries 80 random bits and is good
for one visit.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Literal

Role = Literal["manager", "agent"]

#: 80 bits: 16 letters and digits of base32.
_CODE_BYTES = 10
_CODE_LENGTH = 16


class VisitCodeError(ValueError):
    """The text is not a one-time code."""


def new_visit_code() -> str:
    """A fresh one-time code as people copy it: four groups of four, ``ABCD-EFGH-2345-WXYZ``."""
    text = base64.b32encode(secrets.token_bytes(_CODE_BYTES)).decode()
    return "-".join(text[i : i + 4] for i in range(0, _CODE_LENGTH, 4))


def normalise_visit_code(code: str) -> str:
    """The code without its dashes, blanks and small letters. Raises VisitCodeError for anything that is no code."""
    text = code.strip().upper().replace("-", "").replace(" ", "")
    if len(text) != _CODE_LENGTH or not set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"):
        raise VisitCodeError(
            "not a one-time code: expected 16 letters and digits in groups of four, as the agent printed it"
        )
    return text


def visit_proof(code: str, agent_cert_der: bytes, manager_cert_der: bytes, role: Role) -> str:
    """The base64 HMAC-SHA-256, keyed by the code, over the role and both sides' certificates.

    The agent's is the bootstrap certificate that it shows on this connection. The manager's is the CA certificate that
    `VisitBegin.ca` carries: an agent that knows no CA yet can neither ask for nor verify a manager's own certificate,
    and the CA is what it will obey from then on. The role stands in it so that neither side can answer with the
    other's own proof.
    """
    key = normalise_visit_code(code).encode()
    text = b"plimsoll visit v1\0" + role.encode() + b"\0"
    text += hashlib.sha256(agent_cert_der).digest() + hashlib.sha256(manager_cert_der).digest()
    return base64.b64encode(hmac.digest(key, text, "sha256")).decode()


def proves_visit(proof: str, code: str, agent_cert_der: bytes, manager_cert_der: bytes, role: Role) -> bool:
    """Whether that side's proof is right, compared in constant time."""
    return hmac.compare_digest(proof.encode(), visit_proof(code, agent_cert_der, manager_cert_der, role).encode())
