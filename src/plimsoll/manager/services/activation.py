"""How a machine becomes a computer of the fleet, and how its certificate is renewed."""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography import x509

from plimsoll.manager import secret
from plimsoll.manager.ca import DAY, GRACE_DAYS, LEAF_DAYS, Authority, Issued, proves_key
from plimsoll.manager.ca_keyring import Standing
from plimsoll.manager.ports import BadInput, Conflict, Forbidden, NotFound, Permission, Principal, internal, permits
from plimsoll.manager.services import assignment, policy_rules, sending
from plimsoll.manager.services.computer_views import ACTIVE, REVOKED, inventory_columns
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.services.events import ACTIVATED, CERTIFICATE_ACCEPTED, CREATED, NewEvent
from plimsoll.manager.store import Connection, authorities
from plimsoll.manager.store import access as token_table
from plimsoll.manager.store import commands as command_table
from plimsoll.manager.store import computers as table
from plimsoll.manager.store import policies as policy_table
from plimsoll.manager.store.access import TokenRecord
from plimsoll.manager.store.computers import ComputerRecord
from plimsoll.messages import (
    CAPABILITY,
    Activation,
    ActivationRequest,
    Inventory,
    Kind,
    Policy,
    Renewal,
    RenewalRequest,
    SoftwareNews,
    VisitOffer,
)
from plimsoll.messages.token import ActivationToken, TokenError

#: The longest that a token may live.
_LONGEST = 365 * DAY


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token, shown once. `uses` None means any number."""

    id: str
    token: str
    uses: int | None
    expires: float
    kind: Kind | None


@dataclass(frozen=True, slots=True)
class TokenView:
    id: str
    uses: int | None
    uses_left: int | None
    created: float
    expires: float
    kind: Kind | None
    who: str


class ActivationService:
    def __init__(self, core: Core, pins: Callable[[], SoftwareNews | None] = lambda: None) -> None:
        """`pins` are what a new agent believes of the software repository from its first day."""
        self._core = core
        self._pins = pins

    @permits(Permission.TOKENS_CHANGE)
    def create_token(
        self, principal: Principal, uses: int | None = 1, expires_in: float = DAY, kind: Kind | None = None
    ) -> NewToken:
        """A token for that many computers, of one kind if given. It is shown in the answer and never again."""
        if uses is not None and uses < 1:
            raise BadInput("a token is good for at least one use; none was made")
        if not 0 < expires_in <= _LONGEST:
            raise BadInput("a token lives for at most a year, and expires in the future; none was made")

        def work(unit: Unit) -> NewToken:
            ca_hash = self._core.home.ca(unit.connection).issuing.key_hash
            made = add_token(unit.connection, ca_hash, unit.now, uses, expires_in, kind, principal.who)
            after = {"uses": uses, "expires": made.expires, "kind": kind.value if kind else None}
            unit.audit(principal, "tokens.create", made.id, None, after)
            return made

        return self._core.write(work)

    @permits(Permission.TOKENS_READ)
    def tokens(self, principal: Principal) -> tuple[TokenView, ...]:
        return tuple(
            TokenView(t.id, t.uses, t.uses_left, t.created, t.expires, Kind(t.kind) if t.kind else None, t.who)
            for t in self._core.store.read(token_table.all_tokens)
        )

    @permits(Permission.TOKENS_CHANGE)
    def delete_token(self, principal: Principal, token: str) -> None:
        def work(unit: Unit) -> None:
            if token_table.token(unit.connection, token) is None:
                raise NotFound(f"there is no activation token {token!r}; nothing was changed")
            token_table.delete_token(unit.connection, token)
            unit.audit(principal, "tokens.delete", token)

        self._core.write(work)

    @permits(Permission.COMPUTERS_CHANGE)
    def activate_visited(
        self, principal: Principal, offer: VisitOffer, address: str, port: int, begun: str = ""
    ) -> Activation:
        """Manager-initiated: the door visited `address` and checked the offer's proof. It stands for a token.

        `begun` is the CA's certificate that the visit began with, where it has to be the same still.
        """

        def work(unit: Unit) -> Activation:
            standing = self._core.home.ca(unit.connection)
            issuer = standing.issuing
            if begun and begun != issuer.certificate_pem:
                raise Conflict(f"another CA issues since {address} was called; nothing was activated. Visit it again")
            made = self._admit(unit, offer.csr, offer.inventory, address, None, "manager-initiated", standing, issuer)
            if offer.inventory.listen_port is None:
                table.change(unit.connection, made.computer, listen_port=port)
            unit.audit(principal, "computers.activate", made.computer, None, {"address": address, "port": port})
            return made

        return self._pinned(self._core.write(work))

    @internal
    def activate(self, request: ActivationRequest, address: str, via: str, known_as: str | None = None) -> Activation:
        """Agent-initiated, by token. `known_as` is the computer whose valid certificate the connection showed:
        then this is a reactivation, and the computer keeps its id and its floors.

        Raises Forbidden (token unknown, used up, expired, each in its own words), NotFound (a policy or group that it
        asks for), BadInput (CSR), Unavailable.
        """

        def work(unit: Unit) -> Activation:
            standing = self._core.home.ca(unit.connection)
            issuer = self._use_token(unit, request, standing)
            placed = assignment.columns(unit.connection, request.assign)
            return self._admit(unit, request.csr, request.inventory, address, known_as, via, standing, issuer, placed)

        return self._pinned(self._core.write(work))

    @internal
    def renew(
        self, request: RenewalRequest, address: str, computer: str | None = None, fingerprint: str | None = None
    ) -> Renewal:
        """`computer` is whom the connection's certificate names; None where it expired and the request must prove.

        `fingerprint` is the certificate in use on the connection, where there is one.
        """

        def work(unit: Unit) -> Renewal:
            standing = self._core.home.ca(unit.connection)
            record = self._proved(unit, request, standing) if computer is None else table.get(unit.connection, computer)
            if record is None:
                raise NotFound("this computer is not known here any more; activate it again")
            if record.state == REVOKED:
                raise Forbidden(f"the certificate of {record.display} was revoked; activate it again with a new token")
            if record.state != ACTIVE:
                raise Forbidden(f"{record.display} waits for an administrator's approval; it keeps its certificate")
            issued = _issue(standing.issuing, request.csr, Kind(record.kind), record.id, unit.now)
            # The one in use stays good until the new one is seen: the answer may be lost, more than once.
            in_use = fingerprint or record.previous_fingerprint or record.fingerprint
            columns: dict[str, Any] = {"previous_fingerprint": in_use, "fingerprint": issued.fingerprint}
            columns |= {"certificate_expires": issued.expires, "ca_issuer": issued.authority}
            table.change(unit.connection, record.id, **columns)
            text = f"{record.display} renewed its certificate from {address}"
            unit.event(NewEvent(CERTIFICATE_ACCEPTED, "info", text, computer=record.id, target=record.display))
            unit.changed(record.id)
            return Renewal(certificate=standing.with_chain(issued), ca=standing.bundle)

        return self._core.write(work)

    def _pinned(self, activation: Activation) -> Activation:
        activation.software = self._pins()
        return activation

    def _use_token(self, unit: Unit, request: ActivationRequest, standing: Standing) -> Authority:
        """The CA that the token names: its holder believes no other until it has talked to us."""
        try:
            token = ActivationToken.parse(request.token)
        except TokenError as error:
            raise Forbidden(f"{error}; nothing was activated") from None
        record = token_table.token(unit.connection, token.id)
        if record is None or not secret.same_secret(record.secret_hash, token.secret):
            raise Forbidden("this manager does not know the activation token; nothing was activated. Get a new one")
        if record.expires <= unit.now:
            raise Forbidden("the activation token has expired; nothing was activated. Get a new one from the manager")
        if record.uses_left is not None and record.uses_left <= 0:
            raise Forbidden("the activation token is used up; nothing was activated. Get a new one from the manager")
        if record.kind is not None and record.kind != request.inventory.kind.value:
            kind = request.inventory.kind.value
            raise Forbidden(f"the activation token is for the kind {record.kind}, not {kind}; nothing was activated")
        issuer = standing.by_key_hash(token.ca_hash)
        if issuer is None:
            raise Forbidden(
                "the activation token names a CA that this manager does not use any more; nothing was activated. Get a"
                " new one"
            )
        token_table.use_token(unit.connection, record.id)
        return issuer

    def _admit(
        self,
        unit: Unit,
        csr: str,
        inventory: Inventory,
        address: str,
        known_as: str | None,
        via: str,
        standing: Standing,
        issuer: Authority,
        placed: Mapping[str, Any] | None = None,
    ) -> Activation:
        placed = placed or {}
        known = None if known_as is None else table.get(unit.connection, known_as)
        if known is not None and known.state == REVOKED:
            # Its certificate counts for nothing any more, but the token does: it becomes a new computer.
            known = None
        identifier = known.id if known is not None else uuid.uuid4().hex
        issued = _issue(issuer, csr, inventory.kind, identifier, unit.now)
        if known is None:
            policy = self._add(unit, identifier, inventory, issued, address, placed)
        else:
            policy = self._readmit(unit, known, inventory, issued, address, placed)
        name = inventory.display_name or inventory.hostname or identifier
        verb = "activated" if known is None else "reactivated"
        text = f"{name} ({inventory.kind.value} {inventory.version}) was {verb} from {address}, {via}"
        unit.event(NewEvent(ACTIVATED, "info", text, computer=identifier, target=name))
        unit.changed(identifier)
        return Activation(
            capability=CAPABILITY,
            computer=identifier,
            installation=self._core.home.installation,
            certificate=standing.with_chain(issued),
            # The one that it was told to believe, and no other: the rest comes with its first heartbeat.
            ca=issuer.certificate_pem,
            policy=policy,
            manager_time=unit.now,
        )

    def _add(
        self,
        unit: Unit,
        identifier: str,
        inventory: Inventory,
        issued: Issued,
        address: str,
        placed: Mapping[str, Any],
    ) -> Policy:
        base = policy_table.policy_named(unit.connection, policy_rules.BASE)
        assert base is not None, "every home has the base policy"
        effective = sending.effective_policies(unit)[placed.get("policy_id", base.id)]
        policy = policy_rules.activation_policy(effective, inventory.version)
        group = policy_table.all_groups(unit.connection)[:1]
        columns: dict[str, Any] = {
            "id": identifier,
            "address": address,
            "policy_id": base.id,
            "relay_group_id": group[0].id if group else None,
            "fingerprint": issued.fingerprint,
            "certificate_expires": issued.expires,
            "ca_issuer": issued.authority,
            "activated": unit.now,
            "last_seen": unit.now,
            "boot_id": inventory.boot_id,
        }
        columns |= inventory_columns(inventory, None) | policy_rules.given(policy, unit.now, sent=False) | dict(placed)
        record = ComputerRecord(**columns)
        table.add(unit.connection, record)
        text = f"{record.display} was created"
        unit.event(NewEvent(CREATED, "info", text, computer=identifier, target=record.display))
        return policy

    def _readmit(
        self,
        unit: Unit,
        known: ComputerRecord,
        inventory: Inventory,
        issued: Issued,
        address: str,
        placed: Mapping[str, Any],
    ) -> Policy:
        policy_id = placed.get("policy_id", known.policy_id)
        effective = policy_rules.of_computer(sending.effective_policies(unit)[policy_id], known)
        policy = effective.message(*policy_rules.carried_floors(known))
        columns: dict[str, Any] = {
            "state": ACTIVE,
            "clone": False,
            "address": address,
            "fingerprint": issued.fingerprint,
            "previous_fingerprint": None,
            "certificate_expires": issued.expires,
            "ca_issuer": issued.authority,
            "ca_shown": "",
            "ca_trusts": "",
            "activated": unit.now,
            "last_seen": unit.now,
            "boot_id": inventory.boot_id,
            "boot_ids": [],
        }
        columns |= inventory_columns(inventory, known) | policy_rules.given(policy, unit.now, sent=False) | dict(placed)
        if policy_rules.keeps_default(known, inventory):
            columns["relay_floor_kept"] = policy.relay_floor
        command_table.drop_waiting(unit.connection, [known.id], sending.APPLY)
        table.change(unit.connection, known.id, **columns)
        return policy

    def _proved(self, unit: Unit, request: RenewalRequest, standing: Standing) -> ComputerRecord | None:
        """The computer of an expired certificate whose key signed the request."""
        holder, certificate = standing.holder(request.old_certificate)
        try:
            signature = base64.b64decode(request.proof, validate=True)
        except binascii.Error:
            signature = b""
        if not proves_key(certificate, request.csr.encode(), signature):
            raise Forbidden("the request does not prove the old key; nothing was issued. Activate the computer again")
        if unit.now > _graced(unit, certificate, holder.expires, standing) + GRACE_DAYS * DAY:
            raise Forbidden(
                f"the certificate expired more than {GRACE_DAYS} days ago; nothing was issued. Activate the host again"
            )
        record = table.get(unit.connection, holder.id)
        if record is not None and holder.fingerprint not in (record.fingerprint, record.previous_fingerprint):
            raise Conflict(f"{record.display} has a newer certificate than this one; activate this host with a token")
        return record


def _graced(unit: Unit, certificate: x509.Certificate, expires: float, standing: Standing) -> float:
    """From when grace counts: its end, or, where only the end of its CA cut it short, what it would have lasted to.

    In that case not before the CA's certificate was renewed: until then nobody could come back.
    """
    whole = certificate.not_valid_before_utc.timestamp() + DAY + LEAF_DAYS * DAY
    if expires >= whole - 1.0:
        return expires
    renewed = [kept.made for one in standing.trusted if one.is_renewed
               for kept in authorities.of_key(unit.connection, one.key_hash)]  # fmt: skip
    return max(whole, *renewed) if renewed else expires


def _issue(issuer: Authority, csr: str, kind: Kind, identifier: str, now: float) -> Issued:
    return issuer.issue(csr, "relay" if kind is Kind.RELAY else "agent", identifier, now)


def add_token(
    connection: Connection,
    ca_hash: str,
    now: float,
    uses: int | None,
    expires_in: float,
    kind: Kind | None,
    who: str,
) -> NewToken:
    identifier, text = secret.new_id(), secret.new_secret()
    record = TokenRecord(
        id=identifier,
        secret_hash=secret.hash_secret(text),
        expires=now + expires_in,
        uses_left=uses,
        uses=uses,
        kind=kind.value if kind else None,
        created=now,
        who=who,
    )
    token_table.add_token(connection, record)
    return NewToken(identifier, str(ActivationToken(identifier, text, ca_hash)), uses, record.expires, kind)
