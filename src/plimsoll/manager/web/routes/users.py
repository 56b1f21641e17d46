"""Administration > Users, and Roles."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from plimsoll.manager.ports import ROLES, BadInput, Permission, Role
from plimsoll.manager.services.access import UserView
from plimsoll.manager.web.frame import Asks, Back, Signed, console_router, done, page

router = console_router()

PATH = "/administration/users"
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]*")

Word = Annotated[str, Form(max_length=255)]
Password = Annotated[str, Form(min_length=1, max_length=1024)]

#: What a person reads of each permission, by what it is about: (subject, to look, to change).
SUBJECTS: tuple[tuple[str, tuple[Permission, ...], tuple[Permission, ...]], ...] = (
    ("Floors, changes, exceptions", (Permission.FLOORS_READ,), (Permission.FLOORS_CHANGE,)),
    ("Scans", (Permission.SCANS_READ,), (Permission.SCANS_CHANGE,)),
    ("Computers", (Permission.COMPUTERS_READ,), (Permission.COMPUTERS_CHANGE,)),
    ("Policies and relay groups", (Permission.POLICIES_READ,), (Permission.POLICIES_CHANGE,)),
    ("Send Policy", (), (Permission.POLICIES_SEND,)),
    ("Activation tokens, deployment scripts", (Permission.TOKENS_READ,), (Permission.TOKENS_CHANGE,)),
    ("Software", (Permission.SOFTWARE_READ,), (Permission.SOFTWARE_CHANGE,)),
    ("Whose software is trusted", (), (Permission.SOFTWARE_TRUST,)),
    ("Upgrades", (Permission.UPGRADES_READ,), (Permission.UPGRADES_CHANGE,)),
    ("Scheduled tasks", (Permission.TASKS_READ,), (Permission.TASKS_CHANGE,)),
    ("System events", (Permission.EVENTS_READ,), ()),
    ("Audit trail", (Permission.AUDIT_READ,), ()),
    ("Notifications", (Permission.NOTIFICATIONS_READ,), (Permission.NOTIFICATIONS_CHANGE,)),
    ("Certificates and CA", (Permission.CERTIFICATE_READ,), (Permission.CERTIFICATE_CHANGE,)),
    ("Settings of the manager", (Permission.MANAGER_READ,), (Permission.MANAGER_CHANGE,)),
    ("Users and API keys", (Permission.ACCESS_READ,), (Permission.ACCESS_CHANGE,)),
    ("One's own password and sessions", (), (Permission.OWN_ACCESS,)),
)


def role_choices() -> list[tuple[str, str]]:
    said = {
        Role.ADMINISTRATOR: "Administrator: everything",
        Role.OPERATOR: "Operator: runs the fleet, but nobody's access",
        Role.AUDITOR: "Auditor: reads all, changes nothing",
    }
    return [(role.value, said[role]) for role in Role]


def user_path(user: UserView) -> str:
    """By the name where it is plain, so that an address can be read; else by the number."""
    plain = _PLAIN.fullmatch(user.name) and user.name != "new"
    return f"{PATH}/{user.name if plain else user.id}"


@router.get(PATH)
def users(request: Request, asks: Asks, back: Back) -> Response:
    found = [(one, user_path(one)) for one in back.services.access.users(asks)]
    return page(request, "users/list.html", asks, users=found)


@router.get(f"{PATH}/new")
def new(request: Request, asks: Asks) -> Response:
    return page(request, "users/new.html", asks, roles=role_choices())


@router.post(PATH)
def create(
    request: Request,
    asks: Signed,
    back: Back,
    username: Word,
    password: Password,
    role: Word,
    full_name: Word = "",
    description: Annotated[str, Form(max_length=2000)] = "",
) -> Response:
    made = back.services.access.create_user(asks, username, password, role)
    if full_name or description:
        back.services.access.update_user(asks, made.name, full_name=full_name, description=description)
    return done(request, PATH, f"{made.name} may sign in as {made.role.value}.")


@router.get(f"{PATH}/{{username}}")
def user(request: Request, asks: Asks, back: Back, username: str) -> Response:
    found = back.services.access.user(asks, username)
    return page(
        request,
        "users/user.html",
        asks,
        user=found,
        at=user_path(found),
        roles=role_choices(),
        sessions=back.services.sessions.of_user(asks, found.name),
    )


@router.post(f"{PATH}/{{username}}")
def change(
    request: Request,
    asks: Signed,
    back: Back,
    username: str,
    role: Word,
    full_name: Word = "",
    description: Annotated[str, Form(max_length=2000)] = "",
    disabled: Annotated[str, Form(max_length=1)] = "",
) -> Response:
    made = back.services.access.update_user(
        asks, username, role=role, disabled=bool(disabled), full_name=full_name, description=description
    )
    return done(request, user_path(made), "The user was changed.")


@router.post(f"{PATH}/{{username}}/password")
def password(
    request: Request,
    asks: Signed,
    back: Back,
    username: str,
    password: Password,
    again: Annotated[str, Form(max_length=1024)],
) -> Response:
    if password != again:
        raise BadInput("the two passwords differ; nothing was changed")
    back.services.access.set_password(asks, username, password)
    found = back.services.access.user(asks, username)
    to = user_path(found) if found.name != asks.name else "/sign-in"
    return done(request, to, f"{found.name} has a new password, and is signed out everywhere.")


@router.post(f"{PATH}/{{username}}/unlock")
def unlock(request: Request, asks: Signed, back: Back, username: str) -> Response:
    made = back.services.access.update_user(asks, username, unlock=True)
    return done(request, user_path(made), f"{made.name} may try again.")


@router.post(f"{PATH}/{{username}}/end-sessions")
def end_sessions(request: Request, asks: Signed, back: Back, username: str) -> Response:
    ended = back.services.sessions.end_of_user(asks, username)
    found = back.services.access.user(asks, username)
    return done(request, user_path(found), f"{ended} sessions ended.")


@router.post(f"{PATH}/{{username}}/reset-second-factor")
def reset_second_factor(request: Request, asks: Signed, back: Back, username: str) -> Response:
    back.services.second_factor.reset(asks, username)
    found = back.services.access.user(asks, username)
    return done(request, user_path(found), f"{found.name} signs in with the password alone until a new one is set up.")


@router.post(f"{PATH}/{{username}}/delete")
def delete(request: Request, asks: Signed, back: Back, username: str) -> Response:
    back.services.access.delete_user(asks, username)
    return done(request, PATH, "The user was deleted, and is signed out everywhere.")


@router.get("/administration/roles")
def roles(request: Request, asks: Asks, back: Back) -> Response:
    known = back.services.roles.list(asks)
    rows = [(subject, [_may(one.role, read, change) for one in known]) for subject, read, change in SUBJECTS]
    return page(request, "users/roles.html", asks, roles=known, rows=rows)


def _may(role: Role, read: tuple[Permission, ...], change: tuple[Permission, ...]) -> str:
    if change and all(one in ROLES[role] for one in change):
        return "change"
    return "read" if read and all(one in ROLES[role] for one in read) else ""
