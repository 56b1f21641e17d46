"""The second factor of a person: one-time codes by the clock (TOTP, RFC 6238), and recovery codes for a lost device.

Rules of this file: a secret counts only once a code of it was shown; a code counts once; failures count towards the
lock of the user; the secret is sealed in the store and stands in no log, no audit entry and no answer but the first.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass

import pyotp
import segno

from plimsoll.manager import secret
from plimsoll.manager.ports import BadInput, Conflict, Permission, Principal, Unauthenticated, permits
from plimsoll.manager.sealing import Sealer
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.services.events import FACTOR_ADDED, FACTOR_REMOVED, RECOVERY_USED, NewEvent
from plimsoll.manager.services.lockout import is_locked, note_failure
from plimsoll.manager.services.sessions import known_user, public_id
from plimsoll.manager.store import Connection
from plimsoll.manager.store import access as table
from plimsoll.manager.store.access import LOCAL, UserRecord

#: RFC 6238, 5.2: the recommended step in seconds, and at most one step of delay on either side.
STEP = 30
_AROUND = (0, -1, 1)
RECOVERY_CODES = 10
#: 80 bits, so that a hash of one tells nothing: sixteen of these 32 characters, four by four.
_RECOVERY_CHARACTERS = "abcdefghijkmnpqrstuvwxyz23456789"
_RECOVERY_LENGTH = 16


@dataclass(frozen=True, slots=True)
class FactorView:
    """`since` is None where a code is not asked for; `waiting`: a secret was given out that is not confirmed."""

    since: float | None
    waiting: bool
    recovery_codes: int


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Shown this once: the secret in base32, and the ``otpauth://`` address that carries it."""

    secret: str
    uri: str


def qr_svg(uri: str) -> str:
    """An SVG element for a page. It has no style and no script; on white, for cameras."""
    code = segno.make(uri, error="m", micro=False)
    return code.svg_inline(scale=4, svgclass="qr", lineclass=None, border=4, light="#fff", title="QR code")


def step_of(totp_secret: str, code: str, now: float, after: int) -> int | None:
    """Of which step around now the code is; None where it is of none later than the step `after`."""
    totp = pyotp.TOTP(totp_secret, interval=STEP)
    current = int(now // STEP)
    found = None
    for offset in _AROUND:
        # All are compared, so that the time it takes tells nothing.
        if hmac.compare_digest(totp.generate_otp(current + offset), code) and current + offset > after:
            found = current + offset
    return found


def spend_code(unit: Unit, sealer: Sealer, user: UserRecord, code: str) -> str | None:
    """``code`` or ``recovery``, whichever it was, and it counts no more; None where it does not count.

    `user` is as this transaction has it, so that of two who send the same code one comes too late.
    """
    text = "".join(code.split())
    if text.isascii() and text.isdigit() and len(text) == 6:
        step = step_of(sealer.open(user.totp_secret, about(user.name)), text, unit.now, user.totp_step)
        if step is None:
            return None
        table.change_user(unit.connection, user.name, totp_step=step)
        return "code"
    hashed = secret.hash_secret(text.replace("-", "").lower())
    if not table.use_recovery_code(unit.connection, user.name, hashed):
        return None
    left = table.recovery_codes_left(unit.connection, user.name)
    said = f"{user.name} used a recovery code in place of the authenticator; {left} are left"
    unit.event(NewEvent(RECOVERY_USED, "warning", said, target=user.name))
    return "recovery"


def about(user: str) -> str:
    return f"totp:{user}"


def clear_factor(unit: Unit, user: str) -> None:
    table.change_user(unit.connection, user, totp_secret="", totp_pending="", totp_since=None, totp_step=0)
    table.set_recovery_codes(unit.connection, user, ())


class SecondFactorService:
    def __init__(self, core: Core) -> None:
        self._core = core

    @property
    def _sealer(self) -> Sealer:
        return self._core.home.sealer

    @permits(Permission.OWN_ACCESS)
    def own(self, principal: Principal) -> FactorView:
        """A key and the socket have none."""
        if principal.kind != "user":
            return FactorView(None, waiting=False, recovery_codes=0)

        def work(connection: Connection) -> FactorView:
            user = known_user(connection, principal.name)
            left = table.recovery_codes_left(connection, user.name)
            return FactorView(user.totp_since, bool(user.totp_pending), left)

        return self._core.store.read(work)

    @permits(Permission.OWN_ACCESS)
    def begin(self, principal: Principal, password: str) -> Enrolment:
        """A new secret, which counts once a code of it comes to `confirm`; one given out earlier is forgotten.

        Raises Unauthenticated for a wrong password, Conflict where a second factor is there.
        """
        self._check_password(principal, password)
        text = pyotp.random_base32()

        def work(unit: Unit) -> None:
            user = known_user(unit.connection, principal.name)
            if user.totp_since is not None:
                raise Conflict("you have a second factor; nothing was changed. Remove it first to take another device")
            table.change_user(unit.connection, user.name, totp_pending=self._sealer.seal(text, about(user.name)))
            unit.audit(principal, "access.begin_second_factor", user.name)

        self._core.write(work)
        uri = pyotp.TOTP(text, interval=STEP).provisioning_uri(
            name=principal.name, issuer_name=self._core.home.config.service_name.replace(":", " ")
        )
        return Enrolment(text, uri)

    @permits(Permission.OWN_ACCESS)
    def confirm(self, principal: Principal, code: str) -> tuple[str, ...]:
        """From now on a code is asked for at sign-in; the recovery codes, shown this once.

        One's other sessions, which no code was asked for, end. Raises BadInput for a code that is not of the secret.
        """
        _person(principal)
        codes = new_recovery_codes()

        def work(unit: Unit) -> bool:
            user = known_user(unit.connection, principal.name)
            if not user.totp_pending or user.totp_since is not None:
                raise Conflict("no second factor is waiting for a code; nothing was changed. Begin anew")
            step = step_of(self._sealer.open(user.totp_pending, about(user.name)), "".join(code.split()), unit.now, 0)
            if step is None:
                return False
            table.change_user(
                unit.connection, user.name, totp_secret=user.totp_pending, totp_pending="", totp_since=unit.now,
                totp_step=step,
            )  # fmt: skip
            table.set_recovery_codes(unit.connection, user.name, [secret.hash_secret(_plain(one)) for one in codes])
            for one in table.sessions_of(unit.connection, user.name):
                if public_id(one.secret_hash) != principal.session:
                    table.end_sessions(unit.connection, secret_hash=one.secret_hash)
            unit.audit(principal, "access.add_second_factor", user.name)
            unit.event(
                NewEvent(FACTOR_ADDED, "info", f"{user.name} signs in with a second factor now", target=user.name)
            )
            return True

        self._guarded(principal, work)
        return codes

    @permits(Permission.OWN_ACCESS)
    def remove(self, principal: Principal, password: str, code: str) -> None:
        """One's own, by whoever has the password and a code. Raises Unauthenticated, BadInput, Conflict."""
        self._check_password(principal, password)

        def work(unit: Unit) -> bool:
            user = _enrolled(unit, principal.name)
            if spend_code(unit, self._sealer, user, code) is None:
                return False
            clear_factor(unit, user.name)
            unit.audit(principal, "access.remove_second_factor", user.name)
            said = f"{user.name} signs in without a second factor now"
            unit.event(NewEvent(FACTOR_REMOVED, "warning", said, target=user.name))
            return True

        self._guarded(principal, work)

    @permits(Permission.OWN_ACCESS)
    def renew_recovery_codes(self, principal: Principal, password: str, code: str) -> tuple[str, ...]:
        """Ten new ones, shown this once; those of before count no more. Raises as `remove`."""
        self._check_password(principal, password)
        codes = new_recovery_codes()

        def work(unit: Unit) -> bool:
            user = _enrolled(unit, principal.name)
            if spend_code(unit, self._sealer, user, code) is None:
                return False
            table.set_recovery_codes(unit.connection, user.name, [secret.hash_secret(_plain(one)) for one in codes])
            unit.audit(principal, "access.renew_recovery_codes", user.name)
            return True

        self._guarded(principal, work)
        return codes

    @permits(Permission.ACCESS_CHANGE)
    def reset(self, principal: Principal, name: str) -> None:
        """Takes a person's second factor away, by name or ID: for who lost device and recovery codes.

        Raises NotFound; Conflict where there is none.
        """

        def work(unit: Unit) -> None:
            user = known_user(unit.connection, name)
            if user.totp_since is None and not user.totp_pending:
                raise Conflict(f"{user.name} has no second factor; nothing was changed")
            clear_factor(unit, user.name)
            unit.audit(principal, "access.reset_second_factor", user.name)
            said = f"the second factor of {user.name} was taken away by {principal.name}"
            unit.event(NewEvent(FACTOR_REMOVED, "warning", said, target=user.name))

        self._core.write(work)

    def _check_password(self, principal: Principal, password: str) -> None:
        _person(principal)
        check_own_password(self._core, principal, password)

    def _guarded(self, principal: Principal, work: Callable[[Unit], bool]) -> None:
        """Runs what a code opens; a wrong one counts towards the lock. Raises Unauthenticated where there is one."""
        user = self._core.store.read(lambda c: known_user(c, principal.name))
        if is_locked(user, self._core.clock()):
            raise Unauthenticated("you are locked for a while after failures; nothing was changed")
        if not self._core.write(work):
            note_failure(self._core, principal.name, principal.address, "code")
            raise BadInput("the code is wrong, or was used before; nothing was changed. Wait for the next one")


def check_own_password(core: Core, principal: Principal, password: str, called: str = "password") -> None:
    """Raises Unauthenticated for a wrong one, which counts towards the lock; Conflict where there is none."""
    user = core.store.read(lambda c: known_user(c, principal.name))
    if user.origin != LOCAL:
        raise Conflict("your password and second factor are the identity provider's; nothing was changed here")
    if is_locked(user, core.clock()):
        raise Unauthenticated("you are locked for a while after failures; nothing was changed")
    if not secret.check_password(user.password_hash, password):
        note_failure(core, user.name, principal.address, "password")
        raise Unauthenticated(f"the {called} is wrong; nothing was changed")


def new_recovery_codes() -> tuple[str, ...]:
    def one() -> str:
        text = "".join(secrets.choice(_RECOVERY_CHARACTERS) for _ in range(_RECOVERY_LENGTH))
        return "-".join(text[at : at + 4] for at in range(0, _RECOVERY_LENGTH, 4))

    return tuple(one() for _ in range(RECOVERY_CODES))


def _plain(code: str) -> str:
    return code.replace("-", "")


def _enrolled(unit: Unit, name: str) -> UserRecord:
    user = known_user(unit.connection, name)
    if user.totp_since is None:
        raise Conflict("you have no second factor; nothing was changed")
    return user


def _person(principal: Principal) -> None:
    if principal.kind != "user":
        raise BadInput("only a user who signed in has a second factor; nothing was changed")
