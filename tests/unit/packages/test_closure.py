"""What an agent carries of ours: all that it can load, and nothing of the manager."""

from __future__ import annotations

from packages.closure import closure
from packages.tree import AGENT, MANAGER


def test_what_is_imported_later_and_what_a_child_runs_is_reached() -> None:
    found = closure(["plimsoll.agent.main"])
    assert {"plimsoll", "plimsoll.agent", "plimsoll.agent.daemon", "plimsoll.agent.ports"} <= found
    # Only by `python -m`, as a text.
    assert {"plimsoll.agent.keys", "plimsoll.agent.inventory"} <= found


def test_an_agent_carries_no_manager_and_no_command_tree() -> None:
    carried = AGENT.modules()
    assert {"plimsoll.relay.service", "plimsoll.cli.plimsoll_agent", "plimsoll.agent.probe"} <= carried
    for folder in ("manager", "testing"):
        assert not [name for name in carried if name.startswith(f"plimsoll.{folder}")]
    assert not {"plimsoll.cli.tree", "plimsoll.cli.main"} & carried
    assert carried < MANAGER.modules()
