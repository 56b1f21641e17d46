"""The console's screens in the order in which they stand beside every page, and who sees them.

The groups and names of Administration are the reference's, where it has them (R14).
"""

from __future__ import annotations

from dataclasses import dataclass

from plimsoll.manager.ports import Permission, Principal


@dataclass(frozen=True, slots=True)
class Entry:
    """A screen: shown to whoever may `permission`. `path` is a prefix of the paths that belong to it."""

    title: str
    path: str
    permission: Permission
    icon: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    title: str
    entries: tuple[Entry, ...]


GROUPS: tuple[Group, ...] = (
    Group(
        "",
        (
            Entry("Dashboard", "/", Permission.FLOORS_READ),
            Entry("Who talks to whom", "/picture", Permission.FLOORS_READ),
        ),
    ),
    Group(
        "Fleet",
        (
            Entry("Computers", "/computers", Permission.COMPUTERS_READ),
            Entry("Policies", "/policies", Permission.POLICIES_READ),
        ),
    ),
    Group(
        "Floor",
        (
            Entry("Changes", "/changes", Permission.FLOORS_READ),
            Entry("Preflight", "/preflight", Permission.FLOORS_READ),
            Entry("Scans", "/scans", Permission.SCANS_READ),
            Entry("Reports", "/reports", Permission.FLOORS_READ),
        ),
    ),
    Group(
        "System settings",
        (
            Entry("General", "/administration/system-settings", Permission.MANAGER_READ),
            Entry("TLS", "/administration/system-settings/tls", Permission.FLOORS_READ),
            Entry("Exceptions", "/administration/system-settings/exceptions", Permission.FLOORS_READ),
            Entry("Sign-in", "/administration/system-settings/sign-in", Permission.ACCESS_READ),
        ),
    ),
    Group(
        "Updates",
        (
            Entry("Software", "/administration/updates/software", Permission.SOFTWARE_READ),
            Entry("Upgrades", "/administration/updates/upgrades", Permission.UPGRADES_READ),
            Entry("Relay Management", "/administration/updates/relays", Permission.COMPUTERS_READ),
            Entry("Deployment scripts", "/administration/updates/deployment-scripts", Permission.SOFTWARE_READ),
        ),
    ),
    Group(
        "Administration",
        (
            Entry("Users", "/administration/users", Permission.ACCESS_READ),
            Entry("Roles", "/administration/roles", Permission.ACCESS_READ),
            Entry("API keys", "/administration/api-keys", Permission.ACCESS_READ),
            Entry("Certificates", "/administration/certificates", Permission.CERTIFICATE_READ),
            Entry("Notifications", "/administration/notifications", Permission.NOTIFICATIONS_READ),
            Entry("Scheduled tasks", "/administration/scheduled-tasks", Permission.TASKS_READ),
            Entry("Manager", "/administration/manager", Permission.MANAGER_READ),
            Entry("System events", "/administration/events", Permission.EVENTS_READ),
            Entry("Audit trail", "/administration/audit", Permission.AUDIT_READ),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Shown:
    title: str
    entries: tuple[tuple[Entry, bool], ...]


def for_principal(asks: Principal, path: str) -> tuple[Shown, ...]:
    """The groups with what `asks` may see, and whether each entry is the one that `path` belongs to."""
    here = current(path)
    groups = (
        Shown(group.title, tuple((one, one is here) for one in group.entries if asks.may(one.permission)))
        for group in GROUPS
    )
    return tuple(group for group in groups if group.entries)


def current(path: str) -> Entry | None:
    """The entry with the longest path that `path` begins with."""
    found = [
        entry
        for group in GROUPS
        for entry in group.entries
        if path == entry.path or (entry.path != "/" and path.startswith(entry.path + "/"))
    ]
    return max(found, key=lambda entry: len(entry.path), default=None)
