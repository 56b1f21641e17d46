"""Sign-in through an identity provider: OpenID Connect, authorization code with PKCE.

Rules of this file: who begins and who finishes is one browser, which keeps what was begun, sealed, in a cookie; what
was begun counts once, whatever came of it; a person is issuer and subject, never a name; without a role there is no
sign-in; the client's secret is sealed in the store and stands in no answer, log or audit entry.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from plimsoll.manager import secret
from plimsoll.manager.identity_provider import Client, Metadata, Provider, ProviderError, is_https
from plimsoll.manager.ports import (
    SYSTEM,
    BadInput,
    Conflict,
    Forbidden,
    NotFound,
    Permission,
    Principal,
    Role,
    ServiceError,
    Unauthenticated,
    Unavailable,
    internal,
    permits,
)
from plimsoll.manager.services.access import chosen_role
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.services.events import PROVIDER_CHANGED, PROVIDER_REFUSED, PROVIDER_USER, NewEvent
from plimsoll.manager.services.sessions import NewSession, begin_session
from plimsoll.manager.store import Connection, facts
from plimsoll.manager.store import access as table
from plimsoll.manager.store.access import OIDC, UserRecord
from plimsoll.tls.versions import Version

log = logging.getLogger(__name__)

FACT = "oidc"
SCOPES = "openid profile email"
CLAIM = "groups"
NAME_CLAIM = "preferred_username"
LABEL = "your organisation's account"
#: From the button to the way back, in seconds.
PATIENCE = 600.0
#: The provider's description is asked for again after that time; that it was not reached holds for the shorter one.
_FRESH = 300.0
_FAILED = 10.0
#: So many sign-ins may be finished, well or ill, within `PATIENCE`.
_MOST = 10_000
#: Answers that do not hold are told of as an event once in so many seconds.
_NEWS = 60.0
_ABOUT_SECRET = "oidc client secret"  # noqa: S105 - what is sealed, not a secret
_ABOUT_BEGUN = "oidc sign-in"
_LONGEST = 1 << 20
#: The strongest first: who has several roles gets the first of them.
_RANK = (Role.ADMINISTRATOR, Role.OPERATOR, Role.AUDITOR)
_NOT_BEGUN = (
    "this sign-in was not begun in this browser, was finished already, or took longer than ten minutes; nothing was"
    " done. Begin again at /sign-in"
)


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """`roles` is role by value of the claim `claim`; `name_claim` names a user at the first sign-in. `ca`: PEM."""

    issuer: str
    client_id: str
    claim: str = CLAIM
    roles: Mapping[str, str] = field(default_factory=dict)
    name_claim: str = NAME_CLAIM
    scopes: str = SCOPES
    label: str = LABEL
    ca: str = ""
    has_secret: bool = False


@dataclass(frozen=True, slots=True)
class Begun:
    """The browser goes to `url` and keeps `state` in a cookie until it is back, or for `seconds`."""

    url: str
    state: str
    seconds: int


class _Kept(msgspec.Struct, frozen=True):
    """As it stands in the store. `secret` is sealed; empty for a client without one."""

    issuer: str
    client_id: str
    claim: str
    roles: dict[str, str]
    name_claim: str
    scopes: str
    label: str
    ca: str
    secret: str


class _State(msgspec.Struct, frozen=True):
    """What the browser keeps, sealed."""

    state: str
    nonce: str
    verifier: str
    redirect_uri: str
    until: float
    issuer: str
    client_id: str


class OidcService:
    def __init__(self, core: Core, provider: Callable[[Client], Provider] = Provider) -> None:
        self._core = core
        self._provider = provider
        self._asking = threading.Lock()
        self._told = float("-inf")
        self._known: tuple[Client, float, Metadata | ProviderError] | None = None

    @permits(Permission.ACCESS_READ)
    def settings(self, principal: Principal) -> ProviderSettings | None:
        """None where no provider is set."""
        kept = self._core.store.read(_kept)
        return None if kept is None else _view(kept)

    @permits(Permission.ACCESS_CHANGE)
    def set(self, principal: Principal, wanted: ProviderSettings, client_secret: str | None = None) -> ProviderSettings:
        """All of them. `client_secret` None keeps the one that there is, empty takes it away. Raises BadInput.

        Of another issuer or client the secret has to be given anew: one provider must not get another's.
        """
        checked = _checked(wanted)
        if client_secret is not None and not (client_secret.isprintable() and len(client_secret) <= 1000):
            raise BadInput("a client's secret has at most 1000 printable characters; nothing was changed")

        def work(unit: Unit) -> _Kept:
            before = _kept(unit.connection)
            sealed = self._core.home.sealer.seal(client_secret, _ABOUT_SECRET) if client_secret else ""
            if client_secret is None and before is not None and before.secret:
                if (before.issuer, before.client_id) != (checked.issuer, checked.client_id):
                    raise BadInput(
                        "give the client's secret with another issuer or client, or an empty one where it has none;"
                        " nothing was changed"
                    )
                sealed = before.secret
            kept = _Kept(
                checked.issuer, checked.client_id, checked.claim, dict(checked.roles), checked.name_claim,
                checked.scopes, checked.label, checked.ca, sealed,
            )  # fmt: skip
            facts.put(unit.connection, FACT, msgspec.json.encode(kept).decode())
            said = _said(kept) | ({} if client_secret is None else {"secret": "set anew" if sealed else "none"})
            unit.audit(principal, "access.set_provider", kept.issuer, None if before is None else _said(before), said)
            text = f"people may sign in through {kept.issuer} now"
            unit.event(NewEvent(PROVIDER_CHANGED, "warning", text, target=kept.issuer))
            return kept

        return _view(self._core.write(work))

    @permits(Permission.ACCESS_CHANGE)
    def remove(self, principal: Principal) -> None:
        """Nobody signs in through it any more, and sessions of its people end; they stay users without a way in.

        Raises Conflict where none is set.
        """

        def work(unit: Unit) -> None:
            before = _kept(unit.connection)
            if before is None:
                raise Conflict("no identity provider is set; nothing was changed")
            facts.drop(unit.connection, FACT)
            for user in table.all_users(unit.connection):
                if user.origin == OIDC:
                    table.end_sessions(unit.connection, of=user.name)
            unit.audit(principal, "access.remove_provider", before.issuer, _said(before), None)
            text = f"nobody signs in through {before.issuer} any more"
            unit.event(NewEvent(PROVIDER_CHANGED, "warning", text, target=before.issuer))

        self._core.write(work)

    @permits(Permission.ACCESS_CHANGE)
    def check(self, principal: Principal) -> Metadata:
        """Asks the provider for its description now. Raises Conflict with what is wrong, or where none is set."""
        kept = self._core.store.read(_kept)
        if kept is None:
            raise Conflict("no identity provider is set; nothing was asked")
        try:
            return self._provider(self._client(kept)).metadata()
        except ProviderError as error:
            raise Conflict(f"{error}; nothing was changed") from None

    @internal
    def label(self) -> str | None:
        """What the button of the sign-in page says, None where there is none."""
        kept = self._core.store.read(_kept)
        return None if kept is None else kept.label

    @internal
    def begin(self, redirect_uri: str) -> Begun:
        """`redirect_uri` is where the provider sends the browser back to, as it is registered there.

        Raises NotFound where no provider is set, Unavailable where it is not reached.
        """
        kept = self._core.store.read(_kept)
        if kept is None:
            raise NotFound("no identity provider is set; sign in with a password")
        client = self._client(kept)
        state = _State(
            state=secret.new_secret(), nonce=secret.new_secret(), verifier=secrets.token_urlsafe(48),
            redirect_uri=redirect_uri, until=self._core.clock() + PATIENCE, issuer=kept.issuer,
            client_id=kept.client_id,
        )  # fmt: skip
        try:
            url = self._provider(client).authorization_url(
                self._metadata(client), redirect_uri, state.state, state.nonce, state.verifier
            )
        except ProviderError as error:
            text = "the identity provider is not reached; sign in with a password"
            raise Unavailable(text, cause=str(error)) from None
        sealed = self._core.home.sealer.seal(msgspec.json.encode(state).decode(), _ABOUT_BEGUN)
        return Begun(url, sealed, int(PATIENCE))

    @internal
    def finish(
        self,
        kept_state: str | None,
        state: str,
        code: str,
        address: str,
        tls: Version | None = None,
        *,
        issuer: str | None = None,
        previous: str | None = None,
    ) -> NewSession:
        """`kept_state` is what the browser kept; `state`, `code` and `issuer` (RFC 9207) what it came back with.

        Raises Unauthenticated where anything does not fit, Forbidden where the person has no role here or is disabled,
        Conflict where the name is somebody else's.
        """
        begun = self._begun(kept_state, state)
        kept = self._core.store.read(_kept)
        if kept is None or (kept.issuer, kept.client_id) != (begun.issuer, begun.client_id):
            raise Unauthenticated(_NOT_BEGUN)
        self._spend(begun)
        if issuer is not None and issuer != kept.issuer:
            raise Unauthenticated("the answer comes from another identity provider; nothing was done")
        client = self._client(kept)
        provider = self._provider(client)
        try:
            metadata = self._metadata(client)
            token = provider.redeem(metadata, begun.redirect_uri, code, begun.verifier)
            claims = provider.claims(metadata, token, begun.nonce, self._core.clock())
        except ProviderError as error:
            self._tell_refused(kept, f"a sign-in through {kept.issuer} from {address} was refused: {error}")
            raise Unauthenticated(
                "the identity provider's answer does not hold; nothing was done. System events say why"
            ) from None
        return self._sign_in(kept, claims, address, tls, previous)

    def _client(self, kept: _Kept) -> Client:
        opened = self._core.home.sealer.open(kept.secret, _ABOUT_SECRET) if kept.secret else ""
        return Client(kept.issuer, kept.client_id, opened, kept.scopes, kept.ca)

    def _metadata(self, client: Client) -> Metadata:
        """From memory while it is fresh; one asks at a time, so that a provider that is away holds up few threads."""
        with self._asking:
            now = self._core.clock()
            if self._known is not None and self._known[0] == client:
                _, at, known = self._known
                if 0 <= now - at < (_FAILED if isinstance(known, ProviderError) else _FRESH):
                    if isinstance(known, ProviderError):
                        raise known
                    return known
            try:
                found: Metadata | ProviderError = self._provider(client).metadata()
            except ProviderError as error:
                found = error
            self._known = (client, now, found)
        if isinstance(found, ProviderError):
            raise found
        return found

    def _begun(self, kept_state: str | None, state: str) -> _State:
        if not kept_state:
            raise Unauthenticated(_NOT_BEGUN)
        try:
            begun = msgspec.json.decode(self._core.home.sealer.open(kept_state, _ABOUT_BEGUN), type=_State)
        except (ServiceError, msgspec.DecodeError):
            raise Unauthenticated(_NOT_BEGUN) from None
        if not hmac.compare_digest(begun.state.encode(), state.encode()) or begun.until <= self._core.clock():
            raise Unauthenticated(_NOT_BEGUN)
        return begun

    def _spend(self, begun: _State) -> None:
        """It counts no more, on any manager of this database."""
        hashed = secret.hash_secret(begun.state)

        def work(unit: Unit) -> bool:
            if table.spent_states(unit.connection, unit.now) >= _MOST:
                raise Unavailable("too many sign-ins through the identity provider at once; try again in a minute")
            return table.spend_state(unit.connection, hashed, begun.until)

        if not self._core.write(work):
            raise Unauthenticated(_NOT_BEGUN)

    def _sign_in(
        self, kept: _Kept, claims: Mapping[str, Any], address: str, tls: Version | None, previous: str | None
    ) -> NewSession:
        person = f"{kept.issuer} {claims['sub']}"
        role = _role(kept, claims)
        called = _name(kept, claims)
        if role is None:
            self._without_role(kept, person, called)
            raise Forbidden(
                f"the identity provider knows you as {called}, but nothing in its claim {kept.claim!r} gives you a role"
                " here; nothing was done. Ask an administrator"
            )

        def work(unit: Unit) -> NewSession:
            user = table.external_user(unit.connection, person)
            if user is None:
                user = _new_user(unit, person, called, role, kept.issuer, address)
            if user.disabled:
                raise Forbidden("your user is disabled here; nothing was done. Ask an administrator")
            changed: dict[str, Any] = {}
            if user.role != role.value:
                changed["role"] = role.value
            full = claims.get("name")
            if isinstance(full, str) and full.isprintable() and full[:255] != user.full_name:
                changed["full_name"] = full[:255]
            if changed:
                table.change_user(unit.connection, user.name, **changed)
                earlier = {name: getattr(user, name) for name in changed}
                unit.audit(replace(SYSTEM, address=address), "access.update_user", user.name, earlier, changed)
                user = replace(user, **changed)
            return begin_session(unit, user, address, tls, how=OIDC, previous=previous)

        return self._core.write(work)

    def _without_role(self, kept: _Kept, person: str, called: str) -> None:
        """Who had a role has none any more: sessions of before end."""

        def work(unit: Unit) -> None:
            user = table.external_user(unit.connection, person)
            if user is not None:
                ended = table.end_sessions(unit.connection, of=user.name)
                unit.audit(SYSTEM, "access.lost_role", user.name, {"role": user.role}, {"ended": ended})
            text = f"{called} signed in at {kept.issuer}, but has no role here, and was refused"
            unit.event(NewEvent(PROVIDER_REFUSED, "warning", text, target=called))

        self._core.write(work)

    def _tell_refused(self, kept: _Kept, text: str) -> None:
        """Anybody can come back with a code that was made up: an event at most once a minute, a log line each time."""
        log.warning("%s", text)
        now = self._core.clock()
        if not 0 <= now - self._told < _NEWS:
            self._told = now
            self._core.write(lambda unit: unit.event(NewEvent(PROVIDER_REFUSED, "warning", text, target=kept.issuer)))


def _kept(connection: Connection) -> _Kept | None:
    text = facts.get(connection, FACT)
    return None if text is None else msgspec.json.decode(text, type=_Kept)


def _view(kept: _Kept) -> ProviderSettings:
    return ProviderSettings(
        kept.issuer, kept.client_id, kept.claim, kept.roles, kept.name_claim, kept.scopes, kept.label, kept.ca,
        bool(kept.secret),
    )  # fmt: skip


def _said(kept: _Kept) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(kept).items() if name != "secret"}


def _checked(given: ProviderSettings) -> ProviderSettings:
    issuer = given.issuer.strip()
    if not is_https(issuer) or "?" in issuer:
        raise BadInput("issuer is an https:// address without query, as the provider writes it; nothing was changed")
    texts = {
        "clientId": given.client_id.strip(),
        "claim": given.claim.strip(),
        "nameClaim": given.name_claim.strip(),
        "label": given.label.strip(),
    }
    for name, text in texts.items():
        if not text or len(text) > 500 or not text.isprintable():
            raise BadInput(f"{name} has 1 to 500 printable characters; nothing was changed")
    scopes = given.scopes.split()
    words = len(given.scopes) <= 500 and all(one.isascii() and one.isprintable() for one in scopes)
    if "openid" not in scopes or not words:
        raise BadInput("scopes are words with spaces between them, and openid is one; nothing was changed")
    if not given.roles or len(given.roles) > 200:
        raise BadInput("roles says which value of the claim gives which role, 1 to 200 of them; nothing was changed")
    roles = {value: chosen_role(name).value for value, name in given.roles.items() if value and len(value) <= 500}
    if len(roles) != len(given.roles):
        raise BadInput("a value of the claim has 1 to 500 characters; nothing was changed")
    try:
        if len(given.ca) > _LONGEST:
            raise ValueError("too long")
        ssl.create_default_context(cadata=given.ca or None)
    except (ValueError, ssl.SSLError):
        raise BadInput("ca does not hold certificates in PEM; nothing was changed") from None
    return ProviderSettings(
        issuer, texts["clientId"], texts["claim"], roles, texts["nameClaim"], " ".join(scopes), texts["label"], given.ca
    )


def claim_values(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """The texts of a claim, by its own name, or by a path with dots into claims that are objects."""
    found: Any = claims.get(name)
    if found is None and "." in name:
        found = claims
        for step in name.split("."):
            found = found.get(step) if isinstance(found, Mapping) else None
    values = found if isinstance(found, list) else [found]
    return tuple(value for value in values if isinstance(value, str))


def _role(kept: _Kept, claims: Mapping[str, Any]) -> Role | None:
    given = {kept.roles[value] for value in claim_values(claims, kept.claim) if value in kept.roles}
    return next((role for role in _RANK if role.value in given), None)


def _name(kept: _Kept, claims: Mapping[str, Any]) -> str:
    """What a person is called; the subject, which is always there, where the claim is no name for a user."""
    for text in (*claim_values(claims, kept.name_claim), *claim_values(claims, "email"), str(claims["sub"])):
        name = text.strip()
        if 0 < len(name) <= 100 and name.isprintable():
            return name
    raise Forbidden("the identity provider gives no name of 1 to 100 printable characters; nothing was done")


def _new_user(unit: Unit, person: str, name: str, role: Role, issuer: str, address: str) -> UserRecord:
    if table.user(unit.connection, name) is not None:
        # Not taken over: a name is what its owner chose at the provider, or what somebody else chose there.
        raise Conflict(
            f"there is a user {name!r} here already who is somebody else; nothing was done. Ask an administrator"
            " to delete that one, or to change the name at the provider"
        )
    table.add_user(
        unit.connection, name=name, password_hash="", role=role.value, created=unit.now, origin=OIDC, external_id=person
    )
    by = replace(SYSTEM, address=address)
    unit.audit(by, "access.create_user", name, None, {"role": role.value, "origin": OIDC, "issuer": issuer})
    text = f"{name} signed in through {issuer} for the first time and is a user now, with the role {role.value}"
    unit.event(NewEvent(PROVIDER_USER, "info", text, target=name))
    made = table.user(unit.connection, name)
    assert made is not None
    return made
