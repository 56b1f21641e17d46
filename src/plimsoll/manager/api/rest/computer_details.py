"""Computers with what `expand` asks for beside what every answer has."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import cast

from fastapi import Response
from pydantic import TypeAdapter

from plimsoll.manager.api import views
from plimsoll.manager.api.backend import Backend
from plimsoll.manager.api.shapes import computers as shapes
from plimsoll.manager.ports import Principal
from plimsoll.manager.services.computers import ComputerView

#: Lists up to that length are checked against their shape like every other answer.
CHECKED = 200
_COMPUTERS = TypeAdapter(shapes.Computers)

#: What the reference shows where an agent has not taken its newest policy yet.
PENDING = "Update of Configuration Pending (Heartbeat)"


def shown(
    asks: Principal, back: Backend, found: Sequence[ComputerView], expand: Set[str], own: bool
) -> list[shapes.Computer]:
    """`expand` has words of the reference; `own` shows only settings that are the computer's own."""
    problems = back.live.problems()
    everything = "all" in expand
    settings = None
    if everything or "computerSettings" in expand:
        settings = back.services.settings.of_computers(asks, found, own)
    answers = []
    for view in found:
        answer = views.computer(view, problems)
        if everything or "tasks" in expand:
            waits = view.policy_sent is not None and not view.policy_held
            answer["tasks"] = {"agentTasks": [PENDING] if waits else [], "applianceTasks": []}
        if everything or "interfaces" in expand:
            answer["interfaces"] = {"interfaces": []}
        if everything or "securityUpdates" in expand:
            answer["securityUpdates"] = {"antiMalware": [], "other": []}
        if settings is not None:
            answer["computerSettings"] = views.settings(settings[view.number])
        for module in shapes.MODULES:
            if everything or "allSecurityModules" in expand or module in expand:
                answer[module] = _OFF  # type: ignore[literal-required]  # each is a field of the shape
        answers.append(answer)
    return answers


def page(found: list[shapes.Computer]) -> shapes.Computers:
    """The answer of a list. A long one is written as it is: `shown` fills each by one function, which mypy holds to
    the shape and short lists are checked against, and to check 5,000 again takes as long as to find them.
    """
    if len(found) <= CHECKED:
        return {"computers": found}
    text = _COMPUTERS.dump_json({"computers": found}, warnings="none")
    # The framework passes on whatever is an answer already.
    return cast(shapes.Computers, Response(text, media_type="application/json"))


_OFF: shapes.Module = {
    "state": "off",
    "moduleStatus": {"agentStatus": "inactive", "agentStatusMessage": "Not part of this product"},
}
