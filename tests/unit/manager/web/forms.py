"""What the walk over all screens sends: an example for each path parameter and for each form.

A route without an example fails the walk, so that no screen and no form is left out.
"""

from __future__ import annotations

import time
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
OPEN = {"/sign-in", "/sign-in/oidc", "/sign-in/oidc/callback", "/api/docs", "/static/{name:path}", "/favicon.ico"}
#: A stream, which does not end by itself.
ENDLESS = {"/live"}

IN_A_MONTH = time.strftime("%Y-%m-%dT%H:%M", time.gmtime(time.time() + 30 * 86400))
ACCESS = Permission.ACCESS_CHANGE
FLOORS = Permission.FLOORS_CHANGE

#: What each screen's own permission is, where it is not FLOORS_READ; all roles of ours may read all.
CHANGE, SEND, POLICIES = Permission.COMPUTERS_CHANGE, Permission.POLICIES_SEND, Permission.POLICIES_CHANGE

FORMS: dict[str, Form] = {
    # -- computers
    "/computers/chosen/send-policy": Form(SEND, {"by_filter": "1", "filter": "kind=relay"}),
    "/computers/chosen/policy": Form(CHANGE, {"chosen": "1,2", "value": "1"}),
    "/computers/chosen/group": Form(CHANGE, {"chosen": "1,2", "value": "1"}),
    "/computers/chosen/relay-group": Form(CHANGE, {"by_filter": "1", "filter": "q=web", "value": "1"}),
    "/computers/chosen/heartbeat": Form(CHANGE, {"chosen": "1"}),
    # None of these numbers is anybody's: those that are there are wanted below.
    "/computers/chosen/revoke": Form(CHANGE, {"chosen": "99", "reason": "stolen"}, answers=(400,)),
    "/computers/chosen/deactivate": Form(CHANGE, {"chosen": "99"}, answers=(400,)),
    "/computers/{computer}/edit": Form(CHANGE, {"policy": "1", "display_name": "Till 1"}),
    "/computers/{computer}/settings": Form(CHANGE, {"heartbeat_seconds": "60"}),
    "/computers/{computer}/send-policy": Form(SEND),
    "/computers/{computer}/heartbeat": Form(CHANGE),
    "/computers/{computer}/approve": Form(CHANGE, answers=(409,)),
    "/computers/{computer}/scan": Form(Permission.SCANS_CHANGE, answers=(303, 409)),
    "/computers/{computer}/revoke": Form(CHANGE, {"reason": "stolen"}),
    "/computers/groups": Form(CHANGE, {"name": "Hamburg"}),
    "/computers/groups/{group}": Form(CHANGE, {"name": "Bonn"}),
    "/computers/groups/{group}/delete": Form(CHANGE, answers=(303, 404, 409)),
    # -- policies
    "/policies": Form(POLICIES, {"name": "Tills", "parent": "1"}),
    "/policies/{policy}": Form(
        POLICIES,
        {"heartbeat_seconds": "60", "missed_heartbeats": "3", "direction": "agent-initiated", "auto_send": "yes"},
    ),
    "/policies/{policy}/floors": Form(POLICIES, {"relay_floor": "TLSv1.1"}, answers=(303, 409)),
    "/policies/{policy}/send": Form(SEND),
    # The base policy stays.
    "/policies/{policy}/delete": Form(POLICIES, answers=(409,)),
    "/sign-out": Form(None),
    # -- one's own account
    "/account/password": Form(None, {"old": "x", "password": "y", "again": "z"}),
    "/account/second-factor": Form(None, {"password": "x"}),
    "/account/second-factor/confirm": Form(None, {"code": "123456"}),
    "/account/second-factor/codes": Form(None, {"password": "x", "code": "123456"}),
    "/account/second-factor/remove": Form(None, {"password": "x", "code": "123456"}),
    "/account/sessions/end-others": Form(None),
    "/account/sessions/{session}/end": Form(None),
    # -- changes, in an order in which each can be
    "/changes/{change}/pause": Form(FLOORS),
    "/changes/{change}/resume": Form(FLOORS),
    "/changes/{change}/approve": Form(FLOORS, answers=(409,)),
    "/changes/{change}/abort": Form(FLOORS),
    "/changes/{change}/back": Form(FLOORS, answers=(409,)),
    "/changes": Form(FLOORS, {"to": "TLSv1.1", "point": "gui"}),
    # -- scans
    "/scans": Form(Permission.SCANS_CHANGE, {"fleet": "1", "mode": "sweep"}),
    "/scans/{scan}/cancel": Form(Permission.SCANS_CHANGE, answers=(409,)),
    "/scans/{scan}/delete": Form(Permission.SCANS_CHANGE),
    # -- reports
    "/reports/proofs": Form(Permission.FLOORS_READ, {"change": "1"}),
    "/reports/keys": Form(Permission.MANAGER_CHANGE),
    "/reports/scope": Form(FLOORS, {"what": "relay", "note": "cards"}),
    "/reports/scope/remove": Form(FLOORS, {"point": "relay"}),
    # -- users and keys
    "/administration/users": Form(
        ACCESS, {"username": "berta", "password": "a long enough one", "role": "auditor", "full_name": "Berta B."}
    ),
    "/administration/users/{username}": Form(ACCESS, {"role": "operator", "full_name": "Anna A.", "disabled": "1"}),
    "/administration/users/{username}/password": Form(
        ACCESS, {"password": "another long enough one", "again": "another long enough one"}
    ),
    "/administration/users/{username}/unlock": Form(ACCESS),
    "/administration/users/{username}/end-sessions": Form(ACCESS),
    # There is no second factor to take away.
    "/administration/users/{username}/reset-second-factor": Form(ACCESS, answers=(409,)),
    "/administration/users/{username}/delete": Form(ACCESS),
    "/administration/api-keys": Form(ACCESS, {"name": "third", "role": "auditor"}, answers=(200,)),
    "/administration/api-keys/{key}": Form(ACCESS, {"name": "second", "role": "auditor", "active": "1"}),
    "/administration/api-keys/{key}/renew": Form(ACCESS, answers=(200,)),
    "/administration/api-keys/{key}/delete": Form(ACCESS),
    "/administration/system-settings/sign-in": Form(
        ACCESS, {"issuer": "https://id.example.test", "client_id": "plimsoll", "roles": "admins = administrator"}
    ),
    # Nothing answers there.
    "/administration/system-settings/sign-in/check": Form(ACCESS, answers=(409,)),
    "/administration/system-settings/sign-in/remove": Form(ACCESS),
    # -- system settings
    "/administration/system-settings": Form(
        Permission.MANAGER_CHANGE, {"name": "platformSettingUserSessionIdleTimeout", "value": "20 Minutes"}
    ),
    "/administration/system-settings/reset": Form(
        Permission.MANAGER_CHANGE, {"name": "platformSettingUserSessionIdleTimeout"}
    ),
    # A change is under way in the world of the walk.
    "/administration/system-settings/tls/floor": Form(
        Permission.FLOORS_CHANGE, {"point": "gui", "to": "TLSv1.3", "reason": "a trial"}, answers=(409,)
    ),
    "/administration/system-settings/tls/ciphers": Form(Permission.FLOORS_CHANGE, {"point": "gui", "to": "legacy"}),
    "/administration/system-settings/tls/shadow": Form(Permission.FLOORS_CHANGE, {"point": "gui", "to": "TLSv1.3"}),
    "/administration/system-settings/tls/reload": Form(Permission.MANAGER_CHANGE),
    "/administration/system-settings/exceptions": Form(
        Permission.FLOORS_CHANGE,
        {"source": "10.0.0.8", "point": "gui", "floor": "TLSv1", "until": IN_A_MONTH, "reason": "a machine tool"},
    ),
    "/administration/system-settings/exceptions/{exception}/end": Form(Permission.FLOORS_CHANGE),
    "/first-steps/token": Form(Permission.TOKENS_CHANGE, answers=(200,)),
    # -- updates
    "/administration/updates/software/keys": Form(Permission.SOFTWARE_TRUST, {"text": "no key"}, answers=(400,)),
    # Nothing was imported.
    "/administration/updates/software/{software}/delete": Form(Permission.SOFTWARE_CHANGE, answers=(404,)),
    "/administration/updates/upgrades": Form(Permission.UPGRADES_CHANGE, {"to": "12.0.1"}, answers=(409,)),
    "/administration/updates/upgrades/{upgrade}/pause": Form(Permission.UPGRADES_CHANGE, answers=(409,)),
    "/administration/updates/upgrades/{upgrade}/resume": Form(Permission.UPGRADES_CHANGE, answers=(409,)),
    "/administration/updates/upgrades/{upgrade}/abort": Form(Permission.UPGRADES_CHANGE, answers=(409,)),
    "/administration/updates/upgrades/{upgrade}/back": Form(Permission.UPGRADES_CHANGE, answers=(409,)),
    "/administration/updates/relays/send-policy": Form(Permission.POLICIES_SEND, {"everyone": "1"}),
    # The relay is nobody's id.
    "/administration/updates/relays/move": Form(CHANGE, {"relay": "none", "to": "East"}, answers=(404,)),
    "/administration/updates/relays/groups": Form(Permission.POLICIES_CHANGE, {"name": "West", "parent": "East"}),
    "/administration/updates/relays/groups/{group}/move": Form(Permission.POLICIES_CHANGE, {"parent": ""}),
    # A group of its own stands below it.
    "/administration/updates/relays/groups/{group}/delete": Form(Permission.POLICIES_CHANGE, answers=(409,)),
    "/administration/updates/deployment-scripts": Form(
        Permission.TOKENS_CHANGE,
        {"workaround": "rpm", "base_url": "http://10.0.0.1/agents", "file": "agent.rpm", "unchecked": "1"},
        answers=(200,),
    ),
    "/administration/updates/deployment-scripts/tokens": Form(Permission.TOKENS_CHANGE, {"uses": "5"}, answers=(200,)),
    "/administration/updates/deployment-scripts/tokens/{token}/delete": Form(Permission.TOKENS_CHANGE),
    # -- certificates, notifications, tasks, the manager
    "/administration/certificates": Form(
        Permission.CERTIFICATE_CHANGE, {"certificate": "no certificate"}, answers=(400,)
    ),
    "/administration/certificates/request": Form(Permission.CERTIFICATE_CHANGE, {"names": "dsm.test"}, answers=(200,)),
    # A change is under way, and so no rotation.
    "/administration/certificates/ca/rotate": Form(Permission.CERTIFICATE_CHANGE, answers=(409,)),
    "/administration/certificates/ca/switch": Form(Permission.CERTIFICATE_CHANGE, answers=(404, 409)),
    "/administration/certificates/ca/retire": Form(Permission.CERTIFICATE_CHANGE, answers=(404, 409)),
    "/administration/certificates/ca/back": Form(Permission.CERTIFICATE_CHANGE, answers=(404, 409)),
    "/administration/notifications": Form(
        Permission.NOTIFICATIONS_CHANGE, {"name": "hook", "kind": "webhook", "url": "https://h.test/"}, answers=(200,)
    ),
    "/administration/notifications/{target}/trial": Form(Permission.NOTIFICATIONS_CHANGE),
    "/administration/notifications/{target}/active": Form(Permission.NOTIFICATIONS_CHANGE),
    "/administration/notifications/{target}/remove": Form(Permission.NOTIFICATIONS_CHANGE),
    "/administration/scheduled-tasks": Form(
        Permission.TASKS_CHANGE, {"name": "weekly", "type": "send-policy", "recurrence": "weekly", "days": "sunday"}
    ),
    "/administration/scheduled-tasks/{task}/run": Form(Permission.TASKS_CHANGE),
    "/administration/scheduled-tasks/{task}/enabled": Form(Permission.TASKS_CHANGE),
    "/administration/scheduled-tasks/{task}/delete": Form(Permission.TASKS_CHANGE),
    # This manager keeps its store for itself.
    "/administration/manager/nodes/{node}/forget": Form(Permission.MANAGER_CHANGE, answers=(404,)),
    # No such server answers.
    "/administration/manager/database-checks": Form(
        Permission.MANAGER_CHANGE, {"address": "sqlserver://127.0.0.1:1"}, answers=(409,)
    ),
    "/administration/manager/database-checks/forget": Form(
        Permission.MANAGER_CHANGE, {"address": "sqlserver://127.0.0.1:1"}, answers=(404,)
    ),
}
