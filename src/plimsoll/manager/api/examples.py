"""One request for each operation, which the description, its page and `docs/reference` show.

They stand in an order in which they can be asked one after the other of a manager with the two computers, the package
and the scans that `tests/support/reference.py` gives it; a test does so, and holds each to the status that stands here.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

#: Stands for a moment to come, which a shell works out.
UNTIL: Final = 1803600000


@dataclass(frozen=True, slots=True)
class Example:
    """Values of the path and of the query, the body, and the status that comes. `file` is sent instead of a body:
    a JSON one, or whole as it is with `headers`. `why` says why the status is not a success.
    """

    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    file: str = ""
    headers: tuple[str, ...] = ()
    status: int = 200
    why: str = ""

    def curl(self, method: str, path: str, streams: bool = False) -> str:
        """A line for a shell in which URL, KEY and CA are set, and UNTIL where a moment to come is asked for."""
        for name, value in self.path.items():
            path = path.replace(f"{{{name}}}", value)
        query = f"?{urlencode(self.query)}" if self.query else ""
        parts = ["curl -sS --cacert $CA -H api-secret-key:$KEY"]
        if streams:
            parts.append("--max-time 1")
        if self.file and self.headers:
            parts += [f"-H {header}" for header in self.headers]
            parts.append(f"-H content-type:application/octet-stream --data-binary @{self.file}")
        elif self.file:
            parts.append(f"--json @{self.file}")
        elif self.body is not None:
            text = shlex.quote(json.dumps(self.body, ensure_ascii=False))
            parts.append(f"--json {text}".replace(str(UNTIL), "'$UNTIL'"))
        if method != "GET" and not (method == "POST" and (self.body is not None or self.file)):
            parts.append(f"-X {method}")
        address = f"$URL{path}{query}"
        parts.append(shlex.quote(address).replace("'$URL", "$URL'") if "&" in address or "?" in address else address)
        return " ".join(parts)


def _one(name: str, value: str = "1", **more: Any) -> Example:
    return Example(path={name: value}, **more)


#: By operation id, in the order in which they can be asked.
EXAMPLES: Final[dict[str, Example]] = {
    # what there is
    "tls_show_floors": Example(),
    "tls_show_minimum": Example(),
    "tls_history": Example(query={"limit": "10"}),
    "tls_preflight": Example(query={"to": "TLSv1.3"}),
    "tls_show_ciphers": Example(),
    "tls_cipher_history": Example(query={"limit": "10"}),
    "tls_cipher_preflight": Example(query={"to": "strong", "point": "gui"}),
    "tls_advice": Example(),
    "tls_picture": Example(),
    "tls_relays": Example(),
    "tls_sightings": Example(query={"point": "gui", "below": "TLSv1.3"}),
    "tls_list_exceptions": Example(),
    "tls_show_shadow": Example(),
    "tls_shadow_report": Example(query={"days": "7"}),
    "manager_status": Example(),
    "manager_list_nodes": Example(),
    "manager_forget_node": _one("node", "b.example.test", status=404, why="this manager keeps its store for itself"),
    "manager_show_database": Example(),
    "manager_show_certificate": Example(),
    "events_list_events": Example(query={"after": "1", "limit": "50"}),
    "events_export": Example(),
    "events_stream": Example(query={"after": "0"}),
    # exceptions and shadow floors
    "tls_add_exception": Example(
        body={"floor": "TLSv1", "point": "gui", "source": "192.0.2.7", "until": UNTIL, "reason": "a machine tool"}
    ),
    "tls_end_exception": _one("exception"),
    "tls_set_shadow": Example(body={"floor": "TLSv1.3", "point": "heartbeat"}),
    "tls_clear_shadow": Example(query={"point": "heartbeat"}),
    "tls_register_prober": Example(body={"address": "192.0.2.20", "seconds": 600}),
    # floors
    "tls_set_minimum": Example(body={"floor": "TLSv1.2"}),
    "tls_set_profile": Example(body={"profile": "strong", "point": "gui", "reason": "the audit of December"}),
    "tls_set_floor": Example(body={"floor": "TLSv1.3", "point": "agent"}),
    "tls_send_policy": Example(body={"all": True}),
    # a change
    "changes_start": Example(body={"to": "TLSv1.3", "points": ["gui"], "soak": 3600, "reason": "PCI DSS"}),
    "changes_list_changes": Example(),
    "changes_current": Example(),
    "changes_get": _one("change"),
    "changes_approve": _one("change", status=409, why="this one was started without `approval`, and runs"),
    "changes_pause": _one("change"),
    "changes_resume": _one("change"),
    "changes_abort": _one("change"),
    "changes_take_back": _one("change", status=409, why="only a change that is done goes back; this one was aborted"),
    # proof
    "proof_mark": Example(body={"point": "gui", "note": "cards are typed in here"}),
    "proof_scope": Example(),
    "proof_keys": Example(),
    "proof_rotate": Example(),
    "proof_build": Example(body={}),
    "scans_start": Example(body={"fleet": True, "mode": "sweep", "label": "before the audit"}),
    "scans_cancel": Example(path={"scan": "4"}),
    "scans_list_scans": Example(query={"limit": "10"}),
    "scans_get_scan": _one("scan"),
    "scans_list_endpoints": _one("scan", query={"limit": "100"}),
    "scans_report": _one("scan"),
    "scans_diff": Example(path={"scan": "2"}, query={"with": "1"}),
    "scans_pci": _one("scan"),
    "scans_delete": Example(path={"scan": "4"}),
    "proof_unmark": Example(query={"point": "gui"}),
    # policies and groups
    "policies_create_policy": Example(body={"name": "Mail servers", "agentFloor": "TLSv1.2", "heartbeatSeconds": 600}),
    "policies_list_policies": Example(),
    "policies_get_policy": _one("policy", "2"),
    "policies_change_policy": _one("policy", "2", body={"missedHeartbeats": 3, "inherit": ["heartbeatSeconds"]}),
    "policies_search_policies": Example(
        body={"searchCriteria": [{"fieldName": "name", "stringValue": "Mail servers"}]}
    ),
    "policies_change_policy_setting": Example(
        path={"policy": "2", "name": "platformSettingHeartbeatInterval"}, body={"value": "30 Minutes"}
    ),
    "policies_policy_setting": Example(path={"policy": "2", "name": "platformSettingHeartbeatInterval"}),
    "policies_reset_policy_setting": Example(path={"policy": "2", "name": "platformSettingHeartbeatInterval"}),
    "policies_delete_policy": _one("policy", "2"),
    "policies_default_settings": Example(),
    "policies_change_default_settings": Example(body={"platformSettingHeartbeatMissedAlertThreshold": {"value": "3"}}),
    "policies_default_setting": _one("name", "platformSettingHeartbeatMissedAlertThreshold"),
    "policies_change_default_setting": _one(
        "name", "platformSettingHeartbeatMissedAlertThreshold", body={"value": "4"}
    ),
    "policies_reset_default_setting": _one("name", "platformSettingHeartbeatMissedAlertThreshold"),
    "policies_create_group": Example(body={"name": "East"}),
    "policies_list_groups": Example(),
    "policies_move_group": _one("group", "2", body={"parent": None}),
    "policies_delete_group": _one("group", "2"),
    # computers
    "computers_list_computers": Example(query={"kind": "agent", "limit": "100"}),
    "computers_get_computer": _one("computer", "2"),
    "computers_change_computer": _one("computer", "2", body={"displayName": "Web 1"}),
    "computers_visit": Example(
        body={"address": "127.0.0.1", "port": 9, "code": "0000"}, status=409, why="no agent waits at that port"
    ),
    "computers_create_computer": Example(body={}, status=400, why="a computer comes to be by its activation"),
    "computers_search_computers": Example(
        body={
            "maxItems": 100,
            "searchCriteria": [{"fieldName": "hostName", "stringValue": "web-%", "stringWildcards": True}],
        }
    ),
    "computers_computer_setting": Example(path={"computer": "2", "name": "platformSettingHeartbeatInterval"}),
    "computers_change_computer_setting": Example(
        path={"computer": "2", "name": "platformSettingHeartbeatInterval"}, body={"value": "5 Minutes"}
    ),
    "computers_reset_computer_setting": Example(path={"computer": "2", "name": "platformSettingHeartbeatInterval"}),
    "computers_create_group": Example(body={"name": "Berlin"}),
    "computers_list_groups": Example(),
    "computers_search_groups": Example(body={"searchCriteria": [{"fieldName": "name", "stringValue": "Berlin"}]}),
    "computers_get_group": _one("group"),
    "computers_change_group": _one("group", body={"description": "the machines of the plant"}),
    "computers_delete_group": _one("group"),
    "computers_create_token": Example(body={"uses": 10, "expiresIn": 3600}),
    "computers_list_tokens": Example(),
    "computers_delete_token": _one("token", "none", status=404, why="tokens have other names"),
    # software
    "software_trust": Example(file="release-key.json"),
    "software_keys": Example(),
    "software_check": Example(file="signature.json"),
    "software_import_software": Example(file="agent.deb", headers=('"release-signature:$(base64 -w0 agent.deb.sig)"',)),
    "software_import_bundle": Example(file="site.bundle"),
    "software_list_software": Example(query={"product": "agent"}),
    "software_newest": Example(query={"platform": "Debian_12", "architecture": "x86_64"}),
    "software_get_software": _one("software", "2"),
    "software_get_file": _one("software", "2"),
    "software_metadata": Example(),
    "software_root": Example(),
    "software_next_root": Example(body={"days": 365}),
    "software_take_root": Example(body={"text": "{}"}, status=409, why="it is no root that was signed"),
    "deployment_preflight": Example(query={"platform": "Debian_12"}),
    "deployment_make": Example(body={"platform": "linux", "activationRequired": True, "policyID": 1}),
    # upgrades
    "upgrades_plan": Example(body={"to": "12.0.0", "wave": "10%,100%"}),
    "upgrades_start": Example(body={"to": "12.0.0", "wave": "10%,100%", "failures": 0.1}),
    "upgrades_list_upgrades": Example(),
    "upgrades_current": Example(),
    "upgrades_get": _one("number"),
    "upgrades_computers": _one("number", query={"state": "waiting"}),
    "upgrades_pause": _one("number"),
    "upgrades_resume": _one("number"),
    "upgrades_abort": _one("number"),
    "upgrades_take_back": _one("number", status=409, why="none of its computers was upgraded before it was aborted"),
    "software_delete_software": _one("software", "2"),
    "computers_revoke_computer": _one("computer", "2", body={"reason": "its disk was stolen"}),
    "computers_approve_computer": _one(
        "computer", "2", status=409, why="it does not wait for approval: it was revoked"
    ),
    "computers_delete_computer": _one("computer", "2"),
    # the CA
    "ca_show": Example(),
    "ca_rotate": Example(body={"soak": 3600}),
    "ca_computers": Example(query={"limit": "100"}),
    "ca_renew": Example(),
    "ca_switch": Example(status=409, why="a computer does not trust the new CA yet"),
    "ca_retire": Example(status=409, why="the new CA does not issue yet"),
    "ca_go_back": Example(),
    # who is told
    "notifications_add": Example(
        body={"name": "SIEM", "kind": "syslog", "settings": {"host": "127.0.0.1", "port": 9, "transport": "udp"}},
        status=201,
    ),
    "notifications_list_targets": Example(),
    "notifications_change": _one("target", body={"level": "warning"}),
    "notifications_trial": _one("target"),
    "notifications_remove": _one("target", status=204),
    # who may ask
    "access_create_key": Example(body={"name": "reports", "role": "auditor", "expiresIn": 31536000}),
    "access_list_keys": Example(),
    "access_search_keys": Example(body={"searchCriteria": [{"fieldName": "keyName", "stringValue": "reports"}]}),
    "access_get_key": _one("key", "2"),
    "access_change_key": _one("key", "2", body={"description": "for the weekly report"}),
    "access_renew_key": _one("key", "2"),
    "access_delete_key": _one("key", "2"),
    "access_current_key": Example(),
    "access_change_current_key": Example(body={"description": "the first one"}),
    "access_list_roles": Example(),
    "access_search_roles": Example(body={"searchCriteria": [{"fieldName": "name", "stringValue": "auditor"}]}),
    "access_get_role": _one("role"),
    "access_list_tenants": Example(),
    "access_search_tenants": Example(body={}),
    "access_get_tenant": _one("tenant"),
    "access_create_user": Example(body={"username": "anna", "password": "a long enough one", "role": "operator"}),
    "access_list_users": Example(),
    "access_search_administrators": Example(
        body={"searchCriteria": [{"fieldName": "username", "stringValue": "anna"}]}
    ),
    "access_get_administrator": _one("administrator", "anna"),
    "access_change_user": _one("username", "anna", body={"role": "auditor", "unlock": True}),
    "access_list_own_sessions": Example(),
    "access_end_other_sessions": Example(status=400, why="a key has no sessions"),
    "access_end_own_session": _one("session", "2fd4e1c67a2d28fc", status=400, why="a key has no sessions"),
    "access_list_user_sessions": _one("username", "anna"),
    "access_end_user_sessions": _one("username", "anna"),
    "access_show_own_factor": Example(),
    "access_begin_factor": Example(
        body={"password": "a long enough one"}, status=400, why="a key has no second factor"
    ),
    "access_confirm_factor": Example(body={"code": "123456"}, status=400, why="a key has no second factor"),
    "access_renew_recovery_codes": Example(
        body={"password": "a long enough one", "code": "123456"}, status=400, why="a key has no second factor"
    ),
    "access_remove_factor": Example(
        body={"password": "a long enough one", "code": "123456"}, status=400, why="a key has no second factor"
    ),
    "access_reset_factor": _one("username", "anna", status=409, why="she has none"),
    "access_reset_administrator": _one(
        "username", "admin", body={}, status=403, why="it did not come by the local socket"
    ),
    "access_delete_user": _one("username", "anna"),
    "access_change_own_password": Example(
        body={"old": "a long enough one", "new": "another long enough one"}, status=400, why="a key has no password"
    ),
    "access_show_provider": Example(),
    "access_set_provider": Example(
        body={
            "issuer": "https://id.example.com/realms/fleet",
            "clientId": "plimsoll",
            "clientSecret": "what the provider gave",
            "claim": "groups",
            "roles": {"tls-admins": "administrator", "audit": "auditor"},
        }
    ),
    "access_remove_provider": Example(),
    "access_check_provider": Example(status=409, why="none is set any more"),
    "access_audit": Example(query={"limit": "20"}),
    "access_verify_audit": Example(),
    "access_prune_audit": Example(body={"olderThanDays": 365}),
    # what the manager does by itself
    "tasks_create_task": Example(
        body={
            "name": "nightly",
            "type": "send-policy",
            "scheduleDetails": {
                "timeZone": "Europe/Berlin",
                "recurrenceType": "daily",
                "dailyScheduleParameters": {"startTime": 1795750200000},
            },
            "sendPolicyTaskParameters": {"computerFilter": {"type": "all-computers"}},
        }
    ),
    "tasks_list_tasks": Example(),
    "tasks_search_tasks": Example(body={"searchCriteria": [{"fieldName": "name", "stringValue": "nightly"}]}),
    "tasks_get_task": _one("task"),
    "tasks_change_task": _one("task", body={"runNow": True}),
    "tasks_delete_task": _one("task"),
    # what programs of the reference look at
    "reference_list_profiles": Example(),
    "reference_search_profiles": Example(body={}),
    "reference_get_profile": _one("profile"),
    "reference_list_controls": _one("profile"),
    "reference_search_controls": _one(
        "profile", body={"searchCriteria": [{"fieldName": "os", "choiceValue": "linux"}]}
    ),
    "reference_get_control": Example(path={"profile": "1", "control": "1"}),
    "reference_list_certificates": Example(),
    "reference_search_certificates": Example(body={}),
    "reference_get_certificate": _one("certificate"),
    "reference_list_event_based_tasks": Example(),
    "reference_search_event_based_tasks": Example(body={}),
    "reference_list_scripts": Example(),
    "reference_search_scripts": Example(body={}),
    "reference_list_usage": Example(),
    "reference_search_usage": Example(
        body={"searchCriteria": [{"fieldName": "limited", "numericTest": "greater-than", "numericValue": 0}]}
    ),
    # the manager
    "manager_list_settings": Example(),
    "manager_change_settings": Example(body={"platformSettingRetainSecurityUpdatesMax": {"value": "10"}}),
    "manager_get_setting": _one("name", "platformSettingLoadBalancerHeartbeatPort"),
    "manager_change_setting": _one("name", "platformSettingRetainSecurityUpdatesMax", body={"value": "5"}),
    "manager_reset_setting": _one("name", "platformSettingRetainSecurityUpdatesMax"),
    "manager_reload": Example(),
    "manager_check_database": Example(body={"address": "oracle://db.example.test"}),
    "manager_forget_database": Example(body={"address": "oracle://db.example.test"}),
    "manager_request_certificate": Example(body={"names": ["manager.example.test"], "keyType": "ecdsa"}),
    "manager_set_certificate": Example(
        body={"certificate": "-----BEGIN CERTIFICATE-----"}, status=400, why="that is no certificate yet"
    ),
    # last, because the key that asks is another one then
    "access_renew_current_key": Example(),
}
