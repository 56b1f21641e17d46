"""What an agent's status looks like to people, for `plimsoll agent status` and `plimsoll-agent status` alike."""

from __future__ import annotations

from typing import Any

from plimsoll.cli._output import Output, when


def show(output: Output, data: dict[str, Any]) -> None:
    """The answer of `plimsoll.agent.main.status`, one fact a line."""
    heartbeat, policy = data["heartbeat"], data["policy"] or {}
    pairs: list[tuple[str, object]] = [
        ("computer", f"{data['computer']} ({data['kind']} {data['release']})"),
        ("running", f"yes, pid {data['pid']}" if data["running"] else "no"),
        ("listens on", [f"{port} ({what})" for what, port in data["listening"].items()]),
        ("managers", data["managers"]),
        ("last heartbeat", when(heartbeat["lastSuccess"])),
        ("negotiated", heartbeat["negotiated"]),
        ("next heartbeat", when(heartbeat["next"])),
        ("trouble", heartbeat["message"]),
        ("policy", policy.get("name")),
        ("agent floor", policy.get("agentFloor")),
        ("certificate until", when(data["certificate"]["notAfter"])),
        ("guards", data["guards"]),
    ]
    if "relay" in data:
        relay = data["relay"]
        pairs.append(("relay", f"holds {relay['floor']} ({relay['origin']}), port {relay['port']}"))
    output.pairs(pairs)
