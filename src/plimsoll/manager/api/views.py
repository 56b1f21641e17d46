"""The services' answers as JSON. `/api/computers` has the reference's names; times there are milliseconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import cast

from plimsoll.fleet.advice import Advice
from plimsoll.fleet.findings import Preflight
from plimsoll.fleet.picture import Link, link_as_json
from plimsoll.manager.api.shapes import access, changes, computers, manager, tls
from plimsoll.manager.services.access import AuditEntry, UserView
from plimsoll.manager.services.activation import TokenView
from plimsoll.manager.services.api_keys import ApiKeyView
from plimsoll.manager.services.audit import Link as ChainLink
from plimsoll.manager.services.audit import Verified
from plimsoll.manager.services.certificates import CertificateView
from plimsoll.manager.services.changes import ChangeView
from plimsoll.manager.services.ciphers import CipherChange, CipherHistoryEntry, CipherView
from plimsoll.manager.services.computers import ComputerView
from plimsoll.manager.services.deployable import Obstacle
from plimsoll.manager.services.events import EventView
from plimsoll.manager.services.exceptions import ExceptionView
from plimsoll.manager.services.floors import FloorChange, FloorHistoryEntry, FloorsView, ReloadResult
from plimsoll.manager.services.groups import ComputerGroupView
from plimsoll.manager.services.judgement import RelayView
from plimsoll.manager.services.nodes import NodeView
from plimsoll.manager.services.policies import PolicyValues, PolicyView, RelayGroupView
from plimsoll.manager.services.roles import NUMBERS
from plimsoll.manager.services.sessions import SessionView
from plimsoll.manager.services.shadow import ShadowView, WouldBe
from plimsoll.manager.services.sightings import PeerView, SightingView
from plimsoll.messages import Kind
from plimsoll.tls.cipher_profiles import CipherProfile
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version


def name(version: Version | None) -> str | None:
    return None if version is None else version.value


def milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)


def floors(view: FloorsView, serves: Mapping[Point, Mapping[Version, str]]) -> tls.Floors:
    """`serves` is what a handshake showed at our own ports, null for ports that are not ours."""
    rows: list[tls.PointFloor] = []
    for point in view.floors:
        served = serves.get(point.point)
        rows.append(
            {
                "point": point.point.value,
                "port": point.port,
                "ports": list(point.ports),
                "floor": point.floor.value,
                "serves": None if served is None else [version.value for version in served],
                "suites": None if served is None else {v.value: suites for v, suites in served.items()},
                "ciphers": None if point.profile is None else point.profile.value,
                "policies_pending": point.policies_pending,
                "overrides": [{"policy": policy, "floor": floor.value} for policy, floor in point.overrides],
            }
        )
    drift: tls.Drift | None = None
    if view.drift is not None:
        drift = {
            "in_file": view.drift.in_file,
            "in_force": view.drift.in_force,
            "floor": name(view.drift.floor),
            "message": view.drift.message,
        }
    return {"generation": view.generation, "floors": rows, "drift": drift, "minimum": view.minimum.value}


def preflight(judged: Preflight) -> tls.Preflight:
    return cast(tls.Preflight, judged.as_json())


def advice(given: Advice) -> tls.Advice:
    return cast(tls.Advice, given.as_json())


def link(drawn: Link) -> tls.Link:
    return cast(tls.Link, link_as_json(drawn))


def floor_change(change: FloorChange) -> tls.FloorChange:
    return {
        "changed": [
            {"point": one.point.value, "from": one.before.value, "to": one.after.value} for one in change.changed
        ],
        "preflight": None if change.preflight is None else preflight(change.preflight),
        "policies_pending": change.pending_policies,
        "generation": change.generation,
        "warnings": list(change.warnings),
    }


def ciphers(views: Iterable[CipherView]) -> tls.Ciphers:
    """`suites` are those that a handshake showed, `missing` those of the profile that no certificate serves here."""
    points: list[tls.PointCiphers] = [
        {
            "point": view.point.value,
            "port": view.port,
            "profile": view.profile.value,
            "suites": [suite.name for suite in view.served],
            "missing": [suite.name for suite in view.missing],
        }
        for view in views
    ]
    return {
        "points": points,
        "profiles": {profile.value: [suite.name for suite in profile.suites] for profile in CipherProfile},
    }


def cipher_change(change: CipherChange) -> tls.CipherChange:
    return {
        "changed": [
            {"point": one.point.value, "from": one.before.value, "to": one.after.value} for one in change.changed
        ],
        "preflight": None if change.preflight is None else preflight(change.preflight),
        "generation": change.generation,
    }


def cipher_history(entry: CipherHistoryEntry) -> tls.CipherHistoryEntry:
    return {
        "time": entry.time,
        "point": entry.point.value,
        "from": entry.before.value,
        "to": entry.after.value,
        "who": entry.who,
        "via": entry.via,
        "address": entry.address,
        "forced": entry.forced,
        "reason": entry.reason,
        "named": list(entry.named),
    }


def reloaded(result: ReloadResult) -> tls.Reloaded:
    return {
        **floor_change(result.change),
        "needsRestart": list(result.needs_restart),
        "unknown": list(result.unknown),
    }


def history(entry: FloorHistoryEntry) -> tls.HistoryEntry:
    return {
        "generation": entry.generation,
        "time": entry.time,
        "point": entry.point.value,
        "from": name(entry.before),
        "to": entry.after.value,
        "who": entry.who,
        "via": entry.via,
        "address": entry.address,
        "cause": entry.cause,
        "forced": entry.forced,
        "reason": entry.reason,
        "named": list(entry.named),
    }


def relay(view: RelayView) -> tls.RelayFloor:
    return {
        "ID": view.number,
        "hostGUID": view.id,
        "name": view.name,
        "version": view.version,
        "address": view.address,
        "port": view.port,
        "relayGroup": view.relay_group,
        "required": view.required.value,
        "sent": name(view.sent),
        "sentAt": view.sent_at,
        "ackedAt": view.acked_at,
        "reported": name(view.reported),
        "reportedOrigin": view.reported_origin,
        "reportedAt": view.reported_at,
        "held": view.holds.value,
        "origin": view.origin,
        "observed": name(view.observed),
        "observedAt": view.observed_at,
        "observedDetail": view.observed_detail,
        "lookedAt": view.looked_at,
        "pending": view.pending,
        "drift": view.drift,
        "driftKind": view.drift_kind,
        "driftSince": view.drift_since,
    }


def sighting(view: SightingView) -> tls.Sighting:
    return {
        "point": view.point,
        "address": view.address,
        "ja4": view.ja4,
        "offered": name(view.offered),
        "versions": [version.value for version in view.versions],
        "sni": view.sni,
        "outcome": view.outcome,
        "negotiated": name(view.negotiated),
        "who": view.who,
        "name": view.name,
        "attribution": view.attribution,
        "candidates": list(view.candidates),
        "userAgent": view.user_agent,
        "count": view.count,
        "first": view.first,
        "last": view.last,
        "detail": view.detail,
    }


def exception(view: ExceptionView) -> tls.Excused:
    return {
        "id": view.id,
        "point": view.point.value,
        "floor": view.floor.value,
        "source": view.source,
        "computer": view.computer,
        "name": view.name,
        "until": view.until,
        "reason": view.reason,
        "who": view.who,
        "created": view.created,
        "ended": view.ended,
        "state": view.state,
    }


def shadow(view: ShadowView) -> tls.Shadow:
    return {
        "point": view.point.value,
        "floor": view.floor.value,
        "shadow": name(view.shadow),
        "since": view.since,
        "who": view.who,
        "wouldBeRefused": view.would_be,
        "last": None if view.last is None else would_be(view.last),
    }


def would_be(one: WouldBe) -> tls.WouldBe:
    return {
        "day": datetime.fromtimestamp(one.day * 86400, UTC).date().isoformat(),
        "point": one.point.value,
        "floor": one.floor.value,
        "name": one.name,
        "who": one.who,
        "address": one.address,
        "ja4": one.ja4,
        "offered": name(one.offered),
        "negotiated": name(one.negotiated),
        "count": one.count,
        "first": one.first,
        "last": one.last,
    }


def change(view: ChangeView) -> changes.Change:
    return {
        "id": view.id,
        "created": view.created,
        "who": view.who,
        "to": view.target.value,
        "direction": view.direction,
        "state": view.state,
        "stage": view.stage,
        "stages": list(view.stages),
        "entered": view.entered,
        "soaked": view.soaked,
        "soak": view.soak,
        "text": view.text,
        "figures": cast(list[changes.Figure], list(view.figures)),
        "points": view.options["points"],
        "options": cast(changes.ChangeOptions, view.options),
        "canary": list(view.canary),
        "approvedBy": view.approved_by,
        "ended": view.ended,
        "proof": cast("changes.ChangeProof | None", view.proof),
        "log": [
            {"time": one.time, "stage": one.stage, "what": one.what, "text": one.text, "who": one.who}
            for one in view.log
        ],
    }


def peer(view: PeerView) -> tls.Peer:
    return {
        "point": view.point,
        "who": view.who,
        "name": view.name,
        "address": view.address,
        "offered": name(view.offered),
        "negotiated": name(view.negotiated),
        "refused": name(view.refused),
        "count": view.count,
        "admitted": view.admitted,
        "refusals": view.refusals,
        "first": view.first,
        "last": view.last,
        "ja4": list(view.ja4),
        "sni": view.sni,
        "userAgent": view.user_agent,
    }


def computer(view: ComputerView, problems: Mapping[str, str]) -> computers.Computer:
    """`problems` says who cannot talk to us at present, and why."""
    return {
        "ID": view.number,
        "hostGUID": view.id,
        "hostName": view.hostname,
        "displayName": view.display_name,
        "description": view.description,
        "kind": view.kind.value,
        "agentVersion": view.version or "0.0.0.0",
        "platform": view.platform,
        "architecture": view.architecture,
        "groupID": view.group_id,
        "relayListID": view.relay_group_id,
        "relayGroup": view.relay_group,
        "policyID": view.policy_id,
        "policy": view.policy,
        "lastIPUsed": view.address,
        "lastAgentCommunication": milliseconds(view.last_seen),
        "activated": milliseconds(view.activated),
        "state": view.state,
        "computerStatus": _computer_status(view, problems),
        "tls": {
            "offered": name(view.offered),
            "negotiated": name(view.negotiated),
            "observedAt": view.observed_at,
            "ja4": view.ja4,
            "library": view.tls_library,
            "speaks": [version.value for version in view.speaks],
        },
        "policySent": view.policy_sent,
        "policySentAt": milliseconds(view.policy_sent_at),
        "policyHeld": view.policy_held,
        "policyPending": view.policy_pending,
        "floorHeld": name(view.floor_held),
        "floorOrigin": view.floor_origin,
        "guards": list(view.guards),
        "listenPort": view.listen_port,
        "relayPort": view.relay_port,
        "agentFingerPrint": view.fingerprint,
        "certificateExpires": milliseconds(view.certificate_expires),
        "assetImportanceID": None,
        "applianceFingerPrint": view.fingerprint if view.kind is Kind.APPLIANCE else None,
        "lastApplianceCommunication": milliseconds(view.last_seen) if view.kind is Kind.APPLIANCE else None,
        "lastSendPolicyRequest": milliseconds(view.policy_sent_at),
        "lastSendPolicySuccess": milliseconds(view.policy_acked_at),
    }


def _computer_status(view: ComputerView, problems: Mapping[str, str]) -> computers.ComputerStatus:
    status, said = _status(view), messages(view, problems)
    appliance = view.kind is Kind.APPLIANCE
    return {
        "agentStatus": status,
        "agentStatusMessages": said,
        "applianceStatus": status if appliance else "inactive",
        "applianceStatusMessages": said if appliance else [],
    }


def computer_group(view: ComputerGroupView) -> computers.ComputerGroup:
    return {
        "ID": view.id,
        "name": view.name,
        "description": view.description,
        "parentGroupID": view.parent_id,
        "computers": view.computers,
    }


def settings(values: Mapping[str, str]) -> computers.Settings:
    return {name: {"value": value} for name, value in sorted(values.items())}


def messages(view: ComputerView, problems: Mapping[str, str]) -> list[str]:
    problem = problems.get(view.id)
    return [*view.messages, *([f"Communications Problem: {problem}"] if problem else [])]


def _status(view: ComputerView) -> str:
    """One of the five that the reference's SDK knows; it fails on any other."""
    if view.state == "revoked":
        return "error"
    if view.state != "active":
        return "warning"
    if view.last_seen is None:
        return "inactive"
    return "active" if view.online else "error"


def values(own: PolicyValues) -> computers.Values:
    return {
        "relayFloor": name(own.relay_floor),
        "agentFloor": name(own.agent_floor),
        "heartbeatSeconds": own.heartbeat_seconds,
        "missedHeartbeats": own.missed_heartbeats,
        "direction": None if own.direction is None else own.direction.value,
        "autoSend": own.auto_send,
    }


def policy(view: PolicyView) -> computers.Policy:
    """The effective values stand at the top, what is the policy's own in `own`."""
    return {
        "ID": view.id,
        "name": view.name,
        "parent": view.parent,
        "generation": view.generation,
        **values(view.effective),
        "own": values(view.own),
        "computers": view.computers,
        "pending": view.pending,
        "parentID": view.parent_id,
        "description": view.description,
        "autoRequiresUpdate": "on" if view.effective.auto_send else "off",
        "recommendationScanMode": "off",
    }


def relay_group(view: RelayGroupView) -> computers.RelayGroup:
    return {
        "ID": view.id,
        "name": view.name,
        "parent": view.parent,
        "relays": list(view.relays),
        "computers": view.computers,
    }


def node(view: NodeView) -> manager.Node:
    return {
        "ID": view.id,
        "name": view.name,
        "address": view.address,
        "release": view.release,
        "guiPort": view.gui_port,
        "heartbeatPort": view.heartbeat_port,
        "started": view.started,
        "seen": view.seen,
        "generation": view.generation,
        "state": view.state,
        "current": view.current,
        "own": view.own,
        "works": list(view.works),
        "text": view.text,
    }


def event(view: EventView) -> manager.Event:
    return cast(manager.Event, view.as_json())


def api_key(view: ApiKeyView) -> access.ApiKey:
    return {
        "ID": view.id,
        "keyName": view.name,
        "description": view.description,
        "locale": view.locale,
        "roleID": NUMBERS[view.role],
        "timeZone": view.time_zone,
        "active": view.active,
        "created": int(view.created * 1000),
        "lastSignIn": milliseconds(view.last_used),
        "unlockTime": None,
        "unsuccessfulSignInAttempts": 0,
        "expiryDate": milliseconds(view.expires),
        "serviceAccount": False,
        "name": view.name,
        "role": view.role.value,
        "expires": view.expires,
        "lastUsed": view.last_used,
        "createdBy": view.who,
        "lastAddress": view.address or None,
        "lastTLS": name(view.tls),
        "lastJA4": view.ja4 or None,
    }


def user(view: UserView) -> access.User:
    return {
        "ID": view.id,
        "username": view.name,
        "fullName": view.full_name,
        "description": view.description,
        "roleID": NUMBERS[view.role],
        "active": not view.disabled,
        "unlockTime": milliseconds(view.locked_until),
        "unsuccessfulSignInAttempts": view.failures,
        "role": view.role.value,
        "created": view.created,
        "disabled": view.disabled,
        "lockedUntil": view.locked_until,
        "lastSignIn": view.last_sign_in,
        "origin": view.origin,
        "secondFactor": view.second_factor,
    }


def session(view: SessionView) -> access.SessionAnswer:
    return {
        "ID": view.id,
        "username": view.user,
        "created": view.created,
        "lastUsed": view.last_used,
        "expires": view.expires,
        "address": view.address,
        "how": view.how,
        "current": view.current,
    }


def audit(entry: AuditEntry) -> access.AuditEntry:
    return {
        "ID": entry.id,
        "time": entry.time,
        "who": entry.who,
        "via": entry.via,
        "address": entry.address,
        "action": entry.action,
        "target": entry.target,
        "before": entry.before,
        "after": entry.after,
    }


def audit_chain(found: Verified) -> access.AuditChain:
    def end(link: ChainLink | None) -> access.ChainEnd | None:
        return None if link is None else {"entry": link.entry, "hash": link.hash, "time": link.time, "why": link.why}

    return {
        "ok": found.ok,
        "entries": found.entries,
        "since": end(found.anchor),
        "head": end(found.head),
        "faults": [{"entry": fault.entry, "text": fault.text} for fault in found.faults],
        "faultsFound": found.found,
    }


def token(view: TokenView) -> computers.Token:
    return {
        "ID": view.id,
        "uses": view.uses,
        "usesLeft": view.uses_left,
        "created": view.created,
        "expires": view.expires,
        "kind": None if view.kind is None else view.kind.value,
        "createdBy": view.who,
    }


def certificate(view: CertificateView) -> manager.Certificate:
    return {
        "own": view.own,
        "subject": view.subject,
        "issuer": view.issuer,
        "names": list(view.names),
        "key": view.key,
        "notBefore": view.not_before,
        "notAfter": view.not_after,
        "fingerprint": view.fingerprint,
        "chain": view.chain,
    }


def obstacles(found: tuple[Obstacle, ...]) -> list[computers.Obstacle]:
    """Floors that stand in the way of a deployment (R20)."""
    return [
        {
            "package": one.package,
            "point": one.point.value,
            "port": one.point.default_port,
            "floor": one.floor.value,
            "speaks": one.speaks.value,
        }
        for one in found
    ]
