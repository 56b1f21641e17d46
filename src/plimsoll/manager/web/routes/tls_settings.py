"""Administration > System settings > TLS: floors, cipher profiles, shadow floors, the file (R12-R15).

Nothing here raises a floor at once: the form leads to a page with every name that would be cut off, and only the form
on that page sets it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Form, Query, Request
from starlette.responses import Response

from plimsoll.manager.api.backend import Backend
from plimsoll.manager.ports import Principal
from plimsoll.manager.services.ciphers import OWN
from plimsoll.manager.services.ciphers import parse_profile as profile_named
from plimsoll.manager.services.floors import parse_floor, parse_points
from plimsoll.manager.services.judged import Question
from plimsoll.manager.web import fields, texts
from plimsoll.manager.web.frame import Asks, Back, Signed, console_router, done, page
from plimsoll.manager.web.judging import Look, look, seen, shown
from plimsoll.tls.cipher_profiles import DEFAULT, CipherProfile
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import FLOORS, Version

router = console_router()

PATH = "/administration/system-settings/tls"
#: Rows of the history on this screen.
HISTORY = 20
SHADOWED = 500

Value = Annotated[str, Query(max_length=40)]
Sent = Annotated[str, Form(max_length=40)]
Reason = Annotated[str, Form(max_length=2000)]
Looked = Annotated[Look, Depends(look)]


@router.get(PATH)
def tls(request: Request, asks: Asks, back: Back) -> Response:
    services = back.services
    serves = {point: list(served) for point, served in back.live.serves().items()}
    # A large fleet is counted ahead of requests: floors are as of now, what waits at them as of `counted`.
    over = services.overview.show(asks, {}, serves)
    return page(
        request,
        "tls/page.html",
        asks,
        floors=over.floors,
        counted=over.at,
        lowest=min(one.floor for one in over.floors),
        file=services.floors.file(asks),
        serves=serves,
        ciphers=services.ciphers.show(asks),
        shadows=services.shadow.show(asks),
        history=services.floors.history(asks, HISTORY),
        versions=FLOORS,
        profiles=list(CipherProfile),
    )


@router.get(f"{PATH}/history")
def history(request: Request, asks: Asks, back: Back) -> Response:
    services = back.services
    return page(
        request,
        "tls/history.html",
        asks,
        history=services.floors.history(asks, 1000),
        profiles=services.ciphers.history(asks, 200),
    )


# -- floors


@dataclass(frozen=True, slots=True)
class Asked:
    """What would be set. `kind` is floor or profile; `moves` are points with what is and what would be, those that
    would follow included; `raises` where somebody could be cut off by it. `own` says why not from this session.
    """

    kind: str
    point: str
    to: Version | CipherProfile
    moves: tuple[tuple[Point, Version | CipherProfile, Version | CipherProfile], ...]
    raises: tuple[Point, ...]
    own: str = ""


def _floor_asked(back: Backend, asks: Principal, point: str, to: str) -> Asked:
    target = parse_floor(to)
    moves = back.services.floors.outlook(asks, to, point)
    raises = tuple(one.point for one in moves if one.after > one.before)
    own = ""
    if Point.GUI in raises and asks.tls is not None and asks.tls < target:
        own = (
            f"Your own session uses {asks.tls.label} and would be refused at this floor, so that you could not take it"
            " back from here: the manager refuses a raise from it. Use a browser with a newer version, or the command"
            " line on the manager's computer"
        )
    return Asked("floor", point, target, tuple((one.point, one.before, one.after) for one in moves), raises, own)


@router.get(f"{PATH}/floor")
def floor(
    request: Request, asks: Asks, back: Back, wanted: Looked, point: Value = "all", to: Value = "TLSv1.2"
) -> Response:
    """Every name, and below them the button."""
    return _asked_page(request, asks, back, _floor_asked(back, asks, point, to), wanted)


@router.post(f"{PATH}/floor")
def set_floor(
    request: Request,
    asks: Signed,
    back: Back,
    to: Sent,
    point: Sent = "all",
    force: Annotated[str, Form(max_length=1)] = "",
    reason: Reason = "",
    kept: Sent = "",
) -> Response:
    change = back.services.floors.set(
        asks, to, point, bool(force), reason.strip() or None, seen=seen(back, asks, [kept])
    )
    moved = ", ".join(f"{texts.point_name(one.point)} {one.before.label} → {one.after.label}" for one in change.changed)
    said = f"In force: {moved}." if moved else "The floor was that already; nothing was changed."
    if change.pending_policies:
        computers = texts.plural(change.pending_policies, "computer waits", "computers wait")
        said += f" {computers} for Send Policy: until then they keep what they hold."
    return done(request, PATH, " ".join([said, *(f"Note: {one}." for one in change.warnings)]))


@router.get(f"{PATH}/ciphers")
def ciphers(
    request: Request, asks: Asks, back: Back, wanted: Looked, point: Value = "all", ciphers: Value = DEFAULT.value
) -> Response:
    return _asked_page(request, asks, back, _profile_asked(back, asks, point, ciphers), wanted)


def _profile_asked(back: Backend, asks: Principal, point: str, to: str) -> Asked:
    target = profile_named(to)
    points = tuple(one for one in parse_points(point) if one in OWN)
    known = {one.point: one.profile for one in back.services.ciphers.show(asks)}
    raises = tuple(one for one in points if target.is_stricter(known[one]))
    return Asked("profile", point, target, tuple((one, known[one], target) for one in points), raises)


@router.post(f"{PATH}/ciphers")
def set_profile(
    request: Request,
    asks: Signed,
    back: Back,
    to: Sent,
    point: Sent = "all",
    force: Annotated[str, Form(max_length=1)] = "",
    reason: Reason = "",
    kept: Sent = "",
) -> Response:
    change = back.services.ciphers.set(
        asks, to, point, bool(force), reason.strip() or None, seen=seen(back, asks, [kept])
    )
    moved = ", ".join(f"{texts.point_name(one.point)} {one.before} → {one.after}" for one in change.changed)
    return done(request, PATH, f"In force: {moved}." if moved else "It was that already; nothing was changed.")


def _asked_page(request: Request, asks: Principal, back: Backend, asked: Asked, wanted: Look) -> Response:
    """With the names where something is raised: else nobody can be cut off."""
    judged = None
    if asked.raises:
        ciphers = asked.kind == "profile"
        path = f"{PATH}/{'ciphers' if ciphers else 'floor'}"
        query = (("point", asked.point), ("ciphers" if ciphers else "to", asked.to.value))
        question = Question(asked.to.value, tuple(point.value for point in asked.raises), ciphers)
        judged = shown(back, asks, question, wanted, path, query)
    return page(request, "tls/asked.html", asks, asked=asked, judged=judged)


# -- shadow floors


@router.get(f"{PATH}/shadow")
def shadow(request: Request, asks: Asks, back: Back, days: Annotated[int, Query(ge=1, le=400)] = 30) -> Response:
    back.services.sightings.absorb()
    found = back.services.shadow.report(asks, days)
    return page(
        request,
        "tls/shadow.html",
        asks,
        days=days,
        points=back.services.shadow.show(asks),
        found=found[:SHADOWED],
        more=len(found) - SHADOWED,
        versions=FLOORS,
    )


@router.post(f"{PATH}/shadow")
def set_shadow(
    request: Request,
    asks: Signed,
    back: Back,
    to: Sent,
    point: Sent,
    then: Annotated[str, Form(max_length=2000)] = "",
) -> Response:
    """Counts from now on, and refuses nobody; an empty version counts no more. `then` is the screen to go back to."""
    after = fields.own_path(then, f"{PATH}/shadow")
    if not to:
        back.services.shadow.clear(asks, point)
        return done(request, after, "No shadow floor counts there any more; what was counted stays.")
    back.services.shadow.set(asks, to, point)
    return done(request, after, f"From now on it is counted who comes in below {to}. Nobody is refused.")


# -- configuration.properties


@router.post(f"{PATH}/reload")
def reload(request: Request, asks: Signed, back: Back) -> Response:
    """Reads the file again (R15)."""
    result = back.services.floors.reload(asks)
    back.live.reload_certificates()
    moved = ", ".join(
        f"{texts.point_name(one.point)} {one.before.label} → {one.after.label}" for one in result.change.changed
    )
    said = f"The file was read. {moved} is in force." if moved else "The file was read; no floor moved."
    if result.needs_restart:
        said += f" Only a restart takes up: {', '.join(result.needs_restart)}."
    return done(request, PATH, said)
