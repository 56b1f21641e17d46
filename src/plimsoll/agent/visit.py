"""A manager-initiated activation, from the waiting agent's side (design §11, first contact).

The agent shows a bootstrap certificate and knows nobody. A visitor is believed if it proves the one-time code over
this very bootstrap certificate and the CA that it brings, or if that CA is the one whose fingerprint the administrator
gave. What it brings back must be a certificate of that CA for the key made here.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from plimsoll.agent import keys
from plimsoll.agent.home import AgentState
from plimsoll.agent.identity import IdentityError, check
from plimsoll.agent.listener import Answered, VisitError, answer, problem
from plimsoll.agent.threads import in_thread
from plimsoll.messages import CAPABILITY, VISIT_BEGIN, VISIT_FINISH, Activation, Inventory, VisitBegin, VisitOffer
from plimsoll.messages.visit import proves_visit, visit_proof
from plimsoll.net.http import Request
from plimsoll.net.identity import CertificateFormatError, public_key_hash

_log = logging.getLogger(__name__)

#: Wrong proofs before the code is worthless. Each guess has a chance of 2^-80, so this only ends a nuisance.
MAX_WRONG = 10


@dataclass(frozen=True, slots=True)
class Visited:
    """What a completed visit left: everything that an activated home holds."""

    state: AgentState
    key: str
    activation: Activation


@dataclass(frozen=True, slots=True)
class _Offered:
    installation: str
    ca: str
    key: str


class WaitingAgent:
    """Answers visitors until one activates this agent: `keep` stores the result, and `done` then holds it."""

    def __init__(
        self,
        bootstrap: bytes,
        code: str | None,
        fingerprint: str | None,
        inventory: Inventory,
        blank: Callable[[Activation], AgentState],
        keep: Callable[[Visited], None],
    ) -> None:
        self._bootstrap = bootstrap
        self._code = code
        self._fingerprint = fingerprint
        self._inventory = inventory
        self._blank = blank
        self._keep = keep
        self._offered: _Offered | None = None
        self._wrong = 0
        self.done: asyncio.Future[Visited] = asyncio.get_running_loop().create_future()

    def __call__(self, request: Request) -> Answered:
        if request.method == "POST" and request.path == VISIT_BEGIN:
            return answer(request, VisitBegin, self._begin)
        if request.method == "POST" and request.path == VISIT_FINISH:
            return answer(request, Activation, self._finish)
        return problem(403, "this agent waits for its activation and does nothing else", "not-activated")

    async def _begin(self, begin: VisitBegin) -> VisitOffer:
        try:
            authority = ssl.PEM_cert_to_DER_cert(begin.ca.strip())
            pins = {public_key_hash(authority), hashlib.sha256(authority).hexdigest()}
        except (ValueError, CertificateFormatError):
            raise VisitError("the visit brought no CA certificate", "malformed", 400) from None
        if self._code is not None:
            self._check_proof(begin, authority)
        elif not any(hmac.compare_digest(_plain(self._fingerprint or ""), _plain(pin)) for pin in pins):
            _log.warning("a visitor with another CA than the expected one was refused")
            raise VisitError("this agent waits for a manager with another fingerprint", "fingerprint")
        made = await in_thread(_new_request, self._inventory.hostname)
        self._offered = _Offered(begin.installation, begin.ca, made["key"])
        proof = visit_proof(self._code, self._bootstrap, authority, "agent") if self._code is not None else ""
        return VisitOffer(capability=CAPABILITY, csr=made["csr"], inventory=self._inventory, proof=proof)

    def _check_proof(self, begin: VisitBegin, authority: bytes) -> None:
        assert self._code is not None
        if self._wrong >= MAX_WRONG:
            raise VisitError("too many wrong codes: activate anew with a new code", "code")
        if not proves_visit(begin.proof, self._code, self._bootstrap, authority, "manager"):
            self._wrong += 1
            _log.warning("a visitor did not know the one-time code (attempt %d of %d)", self._wrong, MAX_WRONG)
            raise VisitError("the one-time code is not the one that this agent printed", "code")

    async def _finish(self, activation: Activation) -> None:
        offered = self._offered
        if offered is None:
            raise VisitError("a visit begins with the proof of the one-time code", "order", 409)
        if activation.ca.strip() != offered.ca.strip() or activation.installation != offered.installation:
            raise VisitError("the visit ended with another CA than it began with", "order")
        try:
            state = await in_thread(check, self._blank(activation), offered.key, activation.certificate, activation.ca)
        except IdentityError as error:
            raise VisitError(str(error), "certificate", 400) from None
        visited = Visited(state, offered.key, activation)
        # The manager is told of success only once it would survive a crash here.
        await in_thread(self._keep, visited)
        if not self.done.done():
            self.done.set_result(visited)


def _new_request(name: str) -> keys.Answer:
    return keys.ask("request", name=name)


def _plain(fingerprint: str) -> bytes:
    """Without the colons and capitals that fingerprints are often written with, where it is a hex one."""
    text = fingerprint.strip()
    bare = text.replace(":", "").lower()
    is_hex = len(bare) == 64 and set(bare) <= set("0123456789abcdef")
    return (bare if is_hex else text).encode()
