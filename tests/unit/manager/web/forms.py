"""What the walk over all screens sends: an example for each path parameter and for each form.

A route without an example fails the walk, so that no screen and no form is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from plimsoll.manager.ports import Permission


@dataclass(frozen=True)
class Form:
    """`permission` is what its service asks for; None for what everybody may do for himself.

    `data` is a form that a person could send; `answers` are the statuses that an administrator may get, where not 303.
    """

    permission: Permission | None
    data: dict[str, str] = field(default_factory=dict)
    answers: tuple[int, ...] = (303,)


#: Screens that need no session, or are no screens.
OPEN = {"/sign-in", "/api/docs", "/static/{name:path}", "/favicon.ico"}
#: A stream, which does not end by itself.
ENDLESS = {"/live"}

#: What each screen's own permission is, where it is not FLOORS_READ; all roles of ours may read all.
FORMS: dict[str, Form] = {
    "/sign-out": Form(None),
}
