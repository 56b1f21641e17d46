"""Canned answers of a small fleet in the shapes of the REST paths."""

from __future__ import annotations

import json
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
        {
            "point": "heartbeat",
            "port": 4120,
            "ports": [4120],
            "floor": "TLSv1",
            "serves": ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"],
            "ciphers": "intermediate",
            "policies_pending": 0,
            "overrides": [],
        },
        {
            "point": "gui",
            "port": 4119,
            "ports": [4119],
            "floor": "TLSv1.2",
            "serves": ["TLSv1.2", "TLSv1.3"],
            "ciphers": "strong",
            "policies_pending": 0,
            "overrides": [],
        },
        {
            "point": "relay",
            "port": 4122,
            "ports": [4122, 4132, 4142, 4152],
            "floor": "TLSv1",
            "serves": None,
            "ciphers": None,
            "policies_pending": 2,
            "overrides": [{"policy": "Branches", "floor": "TLSv1.2"}],
        },
    ],
}
CIPHERS = {
    "points": [
        {
            "point": "heartbeat",
            "port": 4120,
            "profile": "strong",
            "suites": ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"],
            "missing": [],
        },
        {
            "point": "gui",
            "port": 4119,
            "profile": "strong",
            "suites": ["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"],
            "missing": ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"],
        },
    ],
    "profiles": {},
}
CIPHER_HISTORY = {
    "history": [
        {
            "time": 1_763_900_000.0,
            "point": "gui",
            "from": "intermediate",
            "to": "strong",
            "who": "socket:uid 0",
            "via": "socket",
            "address": "",
            "forced": True,
            "reason": "the audit",
            "named": ["old-1"],
        }
    ]
}
HISTORY = {
    "history": [
        {
            "generation": 4,
            "time": 1_763_900_000.0,
            "point": "heartbeat",
            "from": "TLSv1.2",
            "to": "TLSv1",
            "who": "socket:uid 0",
            "via": "socket",
            "address": "",
            "cause": "set",
            "forced": False,
            "reason": "9.6 agents in branch 12",
            "named": [],
        },
        {
            "generation": 1,
            "time": 1_763_800_000.0,
            "point": "gui",
            "from": None,
            "to": "TLSv1.2",
            "who": "system:manager",
            "via": "system",
            "address": "",
            "cause": "init",
            "forced": False,
            "reason": None,
            "named": [],
        },
    ]
}
MINIMUM = {"heartbeat": "TLSv1", "gui": "TLSv1.2", "minimum": "TLSv1"}
COMPUTERS = {
    "computers": [
        {
            "ID": 1,
            "hostGUID": "0f1",
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
            "policyHeld": True,
            "policyPending": False,
            "policySentAt": 1_763_900_000_000,
            "floorHeld": "TLSv1",
            "floorOrigin": "policy",
        },
        {
            "ID": 2,
            "hostGUID": "0f2",
            "hostName": "old-1",
            "displayName": "",
            "kind": "agent",
            "agentVersion": "9.6",
            "lastIPUsed": "10.0.0.9",
            "lastAgentCommunication": None,
            "computerStatus": {"agentStatus": "inactive", "agentStatusMessages": ["Managed (Offline)"]},
            "tls": {},
            "policy": "Base",
            "policyHeld": False,
            "policyPending": True,
        },
    ]
}


RELAY = {
    "name": "relay-1",
    "version": "12.0.0",
    "relayGroup": "north",
    "address": "10.0.0.2",
    "port": 4122,
    "required": "TLSv1.2",
    "sent": "TLSv1",
    "held": "TLSv1",
    "origin": "policy",
    "observed": None,
    "observedAt": None,
    "observedDetail": "no connection: Connection refused",
    "lookedAt": 1_795_701_500.0,
    "sentAt": 1_795_701_000.0,
    "ackedAt": 1_795_701_030.0,
    "pending": True,
    "drift": None,
    "driftSince": None,
}
DRIFTED = RELAY | {
    "name": "relay-2",
    "address": "10.0.0.3",
    "sent": "TLSv1.2",
    "held": "TLSv1.2",
    "ackedAt": None,
    "observed": "TLSv1",
    "observedAt": 1_795_701_400.0,
    "pending": False,
    "drift": "TLSv1.2 was sent on 2026-11-26 at 13:50:00 UTC and is not acknowledged after 23 min",
    "driftSince": 1_795_702_500.0,
}
POLICY = {
    "ID": 1,
    "name": "Base",
    "heartbeatSeconds": 600,
    "missedHeartbeats": 2,
    "direction": "agent-initiated",
    "relayFloor": "TLSv1",
    "agentFloor": "TLSv1",
    "computers": 2,
    "pending": 1,
}
KEY = {"ID": 1, "name": "billing", "role": "auditor", "created": 1_763_900_000_000, "lastUsed": None}
USER = {"username": "admin", "role": "administrator", "created": 1_763_900_000.0, "lastSignIn": None}
EVENT = {
    "ID": 7,
    "time": 1_763_900_000.0,
    "number": 770,
    "level": "warning",
    "target": "old-1",
    "description": "Heartbeat refused: old-1 offered TLSv1, the floor is TLSv1.2",
}
STREAM = f": the stream begins\n\nid: 7\nevent: event\ndata: {json.dumps(EVENT)}\n\n"
AUDIT = {
    "time": 1_763_900_000.0,
    "who": "user:admin",
    "via": "web",
    "address": "10.0.0.1",
    "action": "floors.set",
    "target": "heartbeat",
    "before": {"floor": "TLSv1.2"},
    "after": {"floor": "TLSv1"},
}
SIGHTING = {
    "last": 1_763_900_000.0,
    "point": "gui",
    "address": "10.0.0.20",
    "who": "apikey:1",
    "offered": "TLSv1",
    "outcome": "refused",
    "negotiated": None,
    "count": 3,
    "ja4": "t10d0506h1_b94fc92e2ff9_000000000000",
}
EXCEPTION = {
    "id": 3,
    "point": "gui",
    "floor": "TLSv1",
    "source": "10.8.0.0/28",
    "computer": None,
    "name": None,
    "until": 1_795_900_000.0,
    "reason": "the old reporting script",
    "who": "user:admin",
    "created": 1_763_900_000.0,
    "ended": None,
    "state": "in force",
}
WAITING = EXCEPTION | {
    "id": 4,
    "point": "heartbeat",
    "source": None,
    "computer": "0f2",
    "name": "old-1",
    "reason": "line 4 moves in spring",
    "state": "waiting",
}
WOULD_BE = {
    "day": "2025-11-23",
    "point": "heartbeat",
    "floor": "TLSv1.2",
    "name": "old-1",
    "who": "computer:0f2",
    "address": "10.0.0.9",
    "ja4": "t10d0506h1_b94fc92e2ff9_000000000000",
    "offered": "TLSv1",
    "negotiated": "TLSv1",
    "count": 144,
    "first": 1_763_890_000.0,
    "last": 1_763_900_000.0,
}
SHADOWS = {
    "points": [
        {
            "point": "heartbeat",
            "floor": "TLSv1",
            "shadow": "TLSv1.2",
            "since": 1_763_800_000.0,
            "who": "user:admin",
            "wouldBeRefused": 144,
            "last": WOULD_BE,
        },
        {
            "point": "gui",
            "floor": "TLSv1.2",
            "shadow": None,
            "since": None,
            "who": None,
            "wouldBeRefused": 0,
            "last": None,
        },
    ]
}
GUESSED = {
    **SIGHTING,
    "point": "heartbeat",
    "who": None,
    "name": "old-1",
    "attribution": "certain",
    "candidates": ["old-1"],
}
ONE_OF = {**GUESSED, "name": None, "attribution": "one of", "candidates": ["a", "b", "c", "d"]}
PEER = {
    "last": 1_763_900_000.0,
    "first": 1_763_800_000.0,
    "point": "gui",
    "who": "apikey:1",
    "name": "nightly report",
    "address": "10.0.0.20",
    "offered": "TLSv1",
    "negotiated": "TLSv1",
    "refused": None,
    "admitted": 3,
    "refusals": 0,
    "userAgent": "curl/7.19.7",
}


def sightings(asked: tuple[str, str, dict[str, str], Any]) -> dict[str, Any]:
    """By peer, or by kind; refused ones are those that nobody signed."""
    if asked[2].get("by") == "peer":
        return {"peers": [PEER]}
    return {"sightings": [GUESSED, ONE_OF] if asked[2].get("refused") == "true" else [SIGHTING]}


LINK = {
    "from": "agents before 10.0",
    "to": "manager",
    "point": "heartbeat",
    "version": "TLSv1",
    "state": "talks",
    "reason": "",
    "basis": "seen",
    "count": 1,
    "members": ["old-1"],
}
ADVICE = {
    "case": 4,
    "title": "Upgrade with older parts: nothing urgent",
    "recommended": "plan the upgrade",
    "alternative": "do nothing",
    "deciding": [{"who": "old-1", "kind": "agent", "version": "9.6", "why": "before 10.0: early TLS only"}],
}
CERTIFICATE = {
    "subject": "CN=dsm.example.com",
    "names": ["dsm.example.com", "10.0.0.1"],
    "key": "ECDSA P-256",
    "own": True,
    "issuer": "CN=Example CA",
    "notAfter": 1_863_900_000.0,
    "fingerprint": "ab:cd",
}
SIEM = {
    "ID": 1,
    "name": "siem",
    "kind": "syslog",
    "settings": {"host": "siem.example.com", "port": 6514, "transport": "tls", "form": "cef", "ca": ""},
    "level": "warning",
    "numbers": [],
    "active": True,
    "created": 1_763_800_000.0,
    "who": "user:admin",
    "delivered": 1_763_900_000.0,
    "failingSince": None,
    "problem": "",
    "waiting": 0,
}
HOOK = {
    **SIEM,
    "ID": 2,
    "name": "chat",
    "kind": "webhook",
    "settings": {"url": "https://hooks.example.com/plimsoll", "ca": ""},
    "numbers": [742, 770],
    "delivered": None,
    "failingSince": 1_763_900_000.0,
    "problem": "answered 500",
    "waiting": 12,
}
RELOADED = {
    "changed": [{"point": "gui", "from": "TLSv1", "to": "TLSv1.2"}],
    "warnings": [],
    "needsRestart": ["guiPort"],
    "unknown": ["routeTable"],
}


def _host(name: str, state: str, detail: str, code: str) -> dict[str, Any]:
    return {
        "computer": f"c-{name}", "name": name, "wave": 2, "state": state, "former": "12.0.0", "goal": "12.1.0",
        "since": 1_763_900_000.0, "detail": detail, "code": code,
    }  # fmt: skip


_WENT_BACK = _host(
    "web-7", "back", "went back from 12.1.0 to 12.0.0: no heartbeat of 12.1.0 was accepted in 600 s", "switched-back"
)
UPGRADE: dict[str, Any] = {
    "id": 4, "created": 1_763_899_000.0, "who": "user:anna", "to": "12.1.0", "state": "halted", "wave": 2,
    "entered": 1_763_899_500.0, "soaked": 0.0, "soak": 1800.0, "failures": 0.02, "watch": 600.0, "patience": 3600.0,
    "atOnce": 1000, "backOf": None, "ended": None,
    "text": "failed, went back, or silent since: web-7; allowed: at most 0; 2 orders were taken back",
    "waves": [
        {"number": 1, "what": "relays to 100 %", "size": 1, "states": {"done": 1}},
        {"number": 2, "what": "computers to 50 %", "size": 4, "states": {"done": 1, "back": 1, "waiting": 2}},
        {"number": 3, "what": "computers to 100 %", "size": 4, "states": {"waiting": 4}},
    ],
    "figures": [
        {"rule": "upgraded", "value": "1 of 4", "limit": "all that can be reached", "ok": False, "breach": "waits"},
        {"rule": "failed, went back, or silent since", "value": "web-7", "limit": "at most 0", "ok": False,
         "breach": "halts the upgrade"},
    ],
    "failing": [_WENT_BACK],
    "left": {"cannot change its own release: upgrade it by hand or by its package": ["old-1"]},
    "log": [
        {"time": 1_763_899_000.0, "stage": "wave 1 of 3", "what": "started", "text": "9 computers in 3 waves",
         "who": "user:anna"},
        {"time": 1_763_900_000.0, "stage": "wave 2 of 3", "what": "halted", "text": "web-7 went back",
         "who": "manager"},
    ],
}  # fmt: skip
UPGRADE_PLAN: dict[str, Any] = {
    "to": "12.1.0", "there": 2, "left": UPGRADE["left"],
    "waves": [{**wave, "states": {}} for wave in UPGRADE["waves"]],
}  # fmt: skip
CANNOT_GO_BACK = "no computer of upgrade 4 can go back (web-7: it is at 12.0.0 by now); nothing was changed"


def start_upgrade(asked: tuple[str, str, dict[str, str], Any]) -> Any:
    return {**UPGRADE, "state": "running", "wave": 1, "text": "begins", "failing": [], "figures": [], "log": []}


CA_ENDS = {
    "fingerprint": "a" * 64, "keyHash": "sow8CLpwdGt0", "notBefore": 1_448_540_000.0, "notAfter": 1_763_900_000.0,
    "issues": True, "certificate": "PEM\n",
    "advice": "the CA aaaaaaaaaaaaaaaa ends on 2025-11-23, in 300 days. Rotate it: plimsoll ca rotate",
}  # fmt: skip


def small_fleet() -> Answers:
    """Early TLS on 4120, one old agent."""
    return {
        ("GET", "/api/tls/ciphers"): (200, CIPHERS),
        ("GET", "/api/tls/ciphers/history"): (200, CIPHER_HISTORY),
        ("GET", "/api/tls/ciphers/preflight"): (200, {**BLOCKED, "to": "strong"}),
        ("POST", "/api/tls/ciphers"): (409, {**BLOCKED, "message": "strong would cut off old-1"}),
        ("GET", "/api/tls/floors"): (200, FLOORS),
        ("GET", "/api/tls/floors/history"): (200, HISTORY),
        ("GET", "/api/tls/minimum"): (200, MINIMUM),
        ("GET", "/api/tls/preflight"): (200, BLOCKED),
        ("POST", "/api/tls/floors"): (409, BLOCKED),
        ("POST", "/api/tls/minimum"): (409, BLOCKED),
        ("GET", "/api/computers"): (200, COMPUTERS),
        ("GET", "/api/computers/2"): (200, COMPUTERS["computers"][1]),
        ("POST", "/api/tls/send-policy"): (200, {"queued": 2}),
        ("POST", "/api/activationtokens"): (200, {"token": "pt1.a.b.c"}),
        ("GET", "/api/tls/relays"): (200, {"relays": [RELAY, DRIFTED]}),
        ("GET", "/api/relaygroups"): (
            200,
            {"relayGroups": [{"ID": 1, "name": "north", "parent": None, "relays": ["relay-1"]}]},
        ),
        ("POST", "/api/relaygroups"): (200, {"ID": 2, "name": "south"}),
        ("GET", "/api/ca"): (200, {"authorities": [CA_ENDS], "rotation": None}),
        ("POST", "/api/ca/renew"): (
            200,
            {"authorities": [{**CA_ENDS, "notAfter": 2_079_260_000.0, "advice": ""}], "rotation": None},
        ),
        ("GET", "/api/policies"): (200, {"policies": [POLICY]}),
        ("POST", "/api/policies"): (200, {**POLICY, "name": "Branches"}),
        ("POST", "/api/policies/1"): (200, POLICY),
        ("GET", "/api/apikeys"): (200, {"apiKeys": [KEY]}),
        ("POST", "/api/apikeys"): (200, {**KEY, "secretKey": "1:c2VjcmV0"}),
        ("DELETE", "/api/apikeys/1"): (200, {}),
        ("GET", "/api/administrators"): (200, {"administrators": [USER]}),
        ("GET", "/api/events"): (200, {"events": [EVENT]}),
        ("GET", "/api/events/stream"): (200, STREAM),
        ("GET", "/api/audit"): (200, {"audit": [AUDIT]}),
        ("GET", "/api/tls/sightings"): (200, sightings),
        ("GET", "/api/tls/exceptions"): (200, {"exceptions": [WAITING, EXCEPTION]}),
        ("POST", "/api/tls/exceptions"): (200, WAITING),
        ("DELETE", "/api/tls/exceptions/3"): (200, EXCEPTION | {"state": "ended", "ended": 1_763_900_000.0}),
        ("GET", "/api/tls/shadow"): (200, SHADOWS),
        ("POST", "/api/tls/shadow"): (200, {"set": ["heartbeat", "gui"]}),
        ("DELETE", "/api/tls/shadow"): (200, {"cleared": ["heartbeat"]}),
        ("GET", "/api/tls/shadow/report"): (200, {"days": 14, "refused": [WOULD_BE]}),
        ("GET", "/api/tls/picture"): (200, {"links": [LINK]}),
        ("GET", "/api/tls/advice"): (200, ADVICE),
        ("GET", "/api/manager/certificate"): (200, {"certificates": [CERTIFICATE]}),
        ("POST", "/api/manager/certificate"): (200, {"certificates": [CERTIFICATE]}),
        ("POST", "/api/manager/certificate/csr"): (200, {"csr": "-----BEGIN CERTIFICATE REQUEST-----\n…\n"}),
        ("POST", "/api/manager/reload"): (200, RELOADED),
        ("GET", "/api/manager/status"): (
            200,
            {"version": "12.0.0", "running": True, "ports": {"gui": 4119}, "started": 1_763_900_000.0},
        ),
        ("POST", "/api/computers/2"): (200, COMPUTERS["computers"][1]),
        ("POST", "/api/computers/2/revoke"): (200, COMPUTERS["computers"][1]),
        ("POST", "/api/computers/2/approve"): (200, COMPUTERS["computers"][1]),
        ("DELETE", "/api/computers/2"): (200, {}),
        ("GET", "/api/notifications"): (200, {"notifications": [SIEM, HOOK]}),
        ("POST", "/api/notifications"): (201, {**HOOK, "problem": "", "waiting": 0, "secret": "whsec_c2VjcmV0"}),
        ("POST", "/api/notifications/2"): (200, {**HOOK, "active": False}),
        ("POST", "/api/notifications/1/test"): (200, {"result": "1 sent over TLSv1.3"}),
        ("POST", "/api/notifications/2/test"): (409, {"message": "chat: answered 500; nothing was changed"}),
        ("DELETE", "/api/notifications/2"): (204, None),
        ("POST", "/api/computers/activate"): (200, COMPUTERS["computers"][1]),
        ("POST", "/api/upgrades/plan"): (200, UPGRADE_PLAN),
        ("POST", "/api/upgrades"): (200, start_upgrade),
        ("GET", "/api/upgrades"): (200, {"upgrades": [UPGRADE]}),
        ("GET", "/api/upgrades/current"): (200, UPGRADE),
        ("GET", "/api/upgrades/4"): (200, UPGRADE),
        ("GET", "/api/upgrades/4/computers"): (200, {"computers": [_WENT_BACK]}),
        ("POST", "/api/upgrades/4/pause"): (409, {"message": "upgrade 4 is halted; nothing was changed"}),
        ("POST", "/api/upgrades/4/resume"): (200, {**UPGRADE, "state": "running", "text": "goes on, by anna"}),
        ("POST", "/api/upgrades/4/abort"): (200, {**UPGRADE, "state": "aborted", "text": "aborted by anna"}),
        ("POST", "/api/upgrades/4/back"): (409, {"message": CANNOT_GO_BACK}),
    }
