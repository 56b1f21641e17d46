"""Canned answers of a small fleet in the shapes of the REST paths."""

from __future__ import annotations

from typing import Any

from tests.unit.cli.fake import Answers

OLD_AGENT = {
    "id": "c-3",
    "who": "old-1",
    "kind": "agent",
    "version": "9.6",
    "address": "127.0.0.9",
    "last_seen": 1_763_900_000.0,
    "reason": "speaks TLSv1 at most",
    "certainty": "seen-offering",
    "evidence": "",
    "remedy": "upgrade it to 10.0 or later",
    "point": "heartbeat",
}
OLD_PROGRAM = {
    "id": "p-1",
    "who": "billing",
    "kind": "program",
    "version": None,
    "address": "127.0.0.20",
    "last_seen": 1_763_900_000.0,
    "reason": "offered TLSv1 at most",
    "certainty": "seen-offering",
    "evidence": "",
    "remedy": "",
    "point": "gui",
}
CLEAR: dict[str, Any] = {
    "to": "TLSv1.2",
    "points": ["heartbeat", "gui"],
    "clear": True,
    "blockers": [],
    "affected": [],
    "noted": [],
    "judged": 7,
}
BLOCKED: dict[str, Any] = {
    **CLEAR,
    "clear": False,
    "message": "the floor stays: 1 part would be cut off by TLSv1.2",
    "blockers": [OLD_AGENT],
    "affected": [OLD_PROGRAM],
}
FLOORS = {
    "generation": 4,
    "minimum": "TLSv1",
    "drift": None,
    "floors": [
        {"point": "heartbeat", "port": 4120, "floor": "TLSv1", "serves": ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]},
        {"point": "gui", "port": 4119, "floor": "TLSv1.2", "serves": ["TLSv1.2", "TLSv1.3"], "policies_pending": 0},
        {"point": "relay", "port": 4122, "floor": "TLSv1", "serves": [], "policies_pending": 2},
    ],
}
MINIMUM = {"heartbeat": "TLSv1", "gui": "TLSv1.2", "minimum": "TLSv1"}
COMPUTERS = {
    "computers": [
        {
            "ID": 1,
            "hostName": "relay-1",
            "displayName": "",
            "kind": "relay",
            "agentVersion": "12.0.0",
            "platform": "Debian 12",
            "lastIPUsed": "10.0.0.2",
            "lastAgentCommunication": 1_763_900_000_000,
            "computerStatus": {"agentStatus": "active", "agentStatusMessages": ["Managed (Online)"]},
            "tls": {
                "offered": "TLSv1.3",
                "negotiated": "TLSv1.3",
                "observedAt": 1_763_900_000.0,
                "speaks": ["TLSv1.2"],
            },
            "policy": "Base",
            "relayGroup": "north",
            "policySent": "a1",
            "policyHeld": "a1",
        },
        {
            "ID": 2,
            "hostName": "old-1",
            "displayName": "",
            "kind": "agent",
            "agentVersion": "9.6",
            "lastIPUsed": "10.0.0.9",
            "lastAgentCommunication": None,
            "computerStatus": {"agentStatus": "inactive", "agentStatusMessages": ["Managed (Offline)"]},
            "tls": {},
            "policy": "Base",
            "policySent": "a1",
            "policyHeld": None,
        },
    ]
}


def small_fleet() -> Answers:
    """Early TLS on 4120, one old agent."""
    return {
        ("GET", "/api/tls/floors"): (200, FLOORS),
        ("GET", "/api/tls/minimum"): (200, MINIMUM),
        ("GET", "/api/tls/preflight"): (200, BLOCKED),
        ("POST", "/api/tls/floors"): (409, BLOCKED),
        ("POST", "/api/tls/minimum"): (409, BLOCKED),
        ("GET", "/api/computers"): (200, COMPUTERS),
        ("GET", "/api/computers/2"): (200, COMPUTERS["computers"][1]),
        ("POST", "/api/tls/send-policy"): (200, {"queued": 2}),
        ("POST", "/api/activationtokens"): (200, {"token": "pt1.a.b.c"}),
    }
