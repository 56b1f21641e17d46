"""Computers with what `expand` asks for beside what every answer has."""

from __future__ import annotations

from collections.abc import Sequence, Set

from plimsoll.manager.api import views
from plimsoll.manager.api.backend import Backend
from plimsoll.manager.api.shapes import computers as shapes
from plimsoll.manager.ports import Principal
from plimsoll.manager.services.computers import ComputerView

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


_OFF: shapes.Module = {
    "state": "off",
    "moduleStatus": {"agentStatus": "inactive", "agentStatusMessage": "Not part of this product"},
}
