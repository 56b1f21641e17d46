"""The tables of this release. `migrations/` leads there; a test compares the two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import JSON, Boolean, Column, Dialect, Float, ForeignKey, Index, MetaData, Table
from sqlalchemy.types import TypeDecorator

from plimsoll.manager.store.columns import LONG, TEXT
from plimsoll.tls.versions import Version

#: Marks an index that other databases do not have.
ONLY_SQLITE = {"only": "sqlite"}

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


_VERSIONS: dict[str | None, Version | None] = {None: None, **{version.value: version for version in Version}}


class VersionText(TypeDecorator[Version]):
    """A TLS version under its own name (``TLSv1.2``)."""

    impl = TEXT
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Version | None]:
        # A look-up, and not a call of the enumeration: a judgement reads 200,000 of them.
        return _VERSIONS.__getitem__

    def process_bind_param(self, value: Version | None, dialect: Dialect) -> str | None:
        return None if value is None else value.value

    def process_result_value(self, value: Any, dialect: Dialect) -> Version | None:
        return None if value is None else Version(value)


#: What is true of the whole home: installation id, release, origin, counters, the digest of ``protocols=``.
facts = Table("facts", metadata, Column("name", TEXT, primary_key=True), Column("value", TEXT, nullable=False))

#: The floors of 4119 and 4120. Those of relays and agents stand in the base policy, where they travel from.
floors = Table(
    "floors", metadata, Column("point", TEXT, primary_key=True), Column("version", VersionText, nullable=False)
)

floor_history = Table(
    "floor_history",
    metadata,
    Column("id", LONG, primary_key=True),
    Column("time", Float, nullable=False),
    Column("point", TEXT, nullable=False),
    Column("floor", VersionText, nullable=False),
    Column("who", TEXT, nullable=False),
    Column("generation", LONG, nullable=False, server_default="0"),
    Column("before", VersionText),
    Column("via", TEXT, nullable=False, server_default=""),
    Column("address", TEXT, nullable=False, server_default=""),
    Column("cause", TEXT, nullable=False, server_default="set"),
    Column("forced", Boolean, nullable=False, server_default=sa.false()),
    Column("reason", TEXT),
    Column("named", JSON, nullable=False, server_default="[]"),
    # The policy whose floor it is, at the points relay and agent.
    Column("policy", TEXT),
)

#: The cipher profiles of 4119 and 4120 that were set, and how they came to be.
cipher_profiles = Table(
    "cipher_profiles", metadata, Column("point", TEXT, primary_key=True), Column("profile", TEXT, nullable=False)
)

cipher_history = Table(
    "cipher_history",
    metadata,
    Column("id", LONG, primary_key=True),
    Column("time", Float, nullable=False),
    Column("point", TEXT, nullable=False),
    Column("before", TEXT, nullable=False),
    Column("profile", TEXT, nullable=False),
    Column("who", TEXT, nullable=False),
    Column("via", TEXT, nullable=False),
    Column("address", TEXT, nullable=False),
    Column("forced", Boolean, nullable=False),
    Column("reason", TEXT),
    Column("named", JSON, nullable=False),
)

#: What a kind of client offers, by the part of its fingerprint that is about suites: few rows for a large fleet.
offered_suites = Table(
    "offered_suites",
    metadata,
    Column("mark", TEXT, primary_key=True),
    Column("suites", JSON, nullable=False),
    # Whether one who offers that ever had a name: strangers can make up any number.
    Column("named", Boolean, nullable=False),
    Column("seen", Float, nullable=False),
)

rules = Table(
    "rules",
    metadata,
    Column("id", LONG, primary_key=True),
    Column("point", TEXT, nullable=False),
    Column("floor", VersionText, nullable=False),
    Column("source", TEXT),
    Column("computer", TEXT, ForeignKey("computers.id", ondelete="CASCADE")),
    Column("until", Float),
    Column("reason", TEXT, nullable=False),
    Column("who", TEXT, nullable=False),
    Column("created", Float, nullable=False),
    # "exception" lowers, "canary" raises for the change that is its owner.
    Column("kind", TEXT, nullable=False, server_default="exception"),
    Column("owner", TEXT, nullable=False, server_default=""),
    # How many of its warnings were told, and when it ended: by itself at `until`, or earlier by somebody.
    Column("warned", LONG, nullable=False, server_default="0"),
    Column("ended", Float),
    # Ids are never used twice: what the audit trail says of one must not come to name another.
    sqlite_autoincrement=True,
)

#: Floors that refuse nobody and count whom they would have.
shadow_floors = Table(
    "shadow_floors",
    metadata,
    Column("point", TEXT, primary_key=True),
    Column("floor", VersionText, nullable=False),
    Column("who", TEXT, nullable=False),
    Column("since", Float, nullable=False),
)

#: Who came in and would not have, by day of UTC; texts are empty where unknown, for the key to work.
shadow_refusals = Table(
    "shadow_refusals",
    metadata,
    Column("day", LONG, primary_key=True),
    Column("point", TEXT, primary_key=True),
    Column("floor", TEXT, primary_key=True),
    Column("who", TEXT, primary_key=True),
    Column("address", TEXT, primary_key=True),
    Column("ja4", TEXT, primary_key=True),
    # When the shadow floor was set that counted it: one that is set again the same day begins at nothing.
    Column("since", Float, primary_key=True),
    Column("offered", VersionText),
    Column("negotiated", VersionText),
    Column("count", LONG, nullable=False),
    Column("first", Float, nullable=False),
    Column("last", Float, nullable=False),
    Index("ix_shadow_refusals_last", "last"),
)

#: Staged changes. `version` counts up with every step: who decided on an older one decided on nothing.
changes = Table(
    "changes",
    metadata,
    Column("id", LONG, primary_key=True),
    Column("created", Float, nullable=False),
    Column("who", TEXT, nullable=False),
    Column("name", TEXT, nullable=False),
    Column("via", TEXT, nullable=False),
    Column("target", VersionText, nullable=False),
    Column("direction", TEXT, nullable=False),
    Column("state", TEXT, nullable=False),
    Column("stage", TEXT, nullable=False),
    Column("entered", Float, nullable=False),
    Column("soaked", Float, nullable=False),
    Column("options", JSON, nullable=False),
    # What it moved, with what stood there before: all that a way back needs.
    Column("effects", JSON, nullable=False),
    # What was seen in the stage under way, and the figures of its health rules.
    Column("seen", JSON, nullable=False),
    Column("text", TEXT, nullable=False),
    Column("approved_by", TEXT),
    Column("ended", Float),
    Column("proof", JSON),
    Column("version", LONG, nullable=False),
)

change_log = Table(
    "change_log",
    metadata,
    Column("id", LONG, primary_key=True),
    Column("change", LONG, ForeignKey("changes.id"), nullable=False),
    Column("time", Float, nullable=False),
    Column("stage", TEXT, nullable=False),
    Column("what", TEXT, nullable=False),
    Column("text", TEXT, nullable=False),
    Column("who", TEXT, nullable=False),
    Index("ix_change_log_change", "change"),
)

policies = Table(
    "policies",
    metadata,
    Column("id", LONG, primary_key=True),
    Column("name", TEXT, nullable=False, unique=True),
    Column("relay_floor", VersionText),
    Column("heartbeat_seconds", LONG),
    Column("generation", LONG, nullable=False),
    Column("parent_id", LONG, ForeignKey("policies.id")),
    Column("agent_floor", VersionText),
    Column("missed_heartbeats", LONG),
    Column("direction", TEXT),
    Column("auto_send", Boolean),
    Column("description", TEXT, nullable=False, server_default=""),
    # As with computers: an ID is never given twice.
    sqlite_autoincrement=True,
)

relay_groups = Table(
    "relay_groups",
    metadata,
    Column("id", LONG, primary_key=True),
    Column("name", TEXT, nullable=False, unique=True),
    Column("parent_id", LONG, ForeignKey("relay_groups.id")),
    sqlite_autoincrement=True,
)

#: Folders for computers, which policies do not follow.
computer_groups = Table(
    "computer_groups",
    metadata,
    Column("id", LONG, primary_key=True),
    Column("name", TEXT, nullable=False),
    Column("description", TEXT, nullable=False, server_default=""),
    Column("parent_id", LONG, ForeignKey("computer_groups.id")),
    Index("ix_computer_groups_parent_id", "parent_id"),
    sqlite_autoincrement=True,
)

#: Settings of the reference that nothing here depends on, as programs set them: of the system (owner 0), of a policy
#: by its id, of a computer by its number. No foreign keys: neither is ever given twice.
kept_settings = Table(
    "kept_settings",
    metadata,
    Column("scope", TEXT, primary_key=True),
    Column("owner", LONG, primary_key=True, autoincrement=False),
    Column("name", TEXT, primary_key=True),
    Column("value", TEXT, nullable=False),
)

#: What the manager does by itself at times that somebody set. `asked`: since when it is to run now, besides.
scheduled_tasks = Table(
    "scheduled_tasks",
    metadata,
    Column("id", LONG, primary_key=True),
    Column("name", TEXT, nullable=False),
    Column("type", TEXT, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("schedule", JSON, nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("created", Float, nullable=False),
    Column("who", TEXT, nullable=False),
    Column("next_run", Float),
    Column("asked", Float),
    Column("last_run", Float),
    Column("last_ok", Boolean),
    Column("last_text", TEXT, nullable=False),
    Column("runs", LONG, nullable=False),
    sqlite_autoincrement=True,
)

#: Every number that was ever given to a computer: a program that pages by ID must never meet one again under another.
computer_numbers = Table(
    "computer_numbers",
    metadata,
    Column("number", LONG, primary_key=True),
    # No foreign key: the number outlives the computer.
    Column("computer", TEXT, nullable=False, unique=True),
    sqlite_autoincrement=True,
)

computers = Table(
    "computers",
    metadata,
    Column("id", TEXT, primary_key=True),
    # The ID of REST and SOAP; `id` is what certificates carry.
    Column("number", LONG, nullable=False, unique=True),
    Column("kind", TEXT, nullable=False),
    Column("hostname", TEXT, nullable=False),
    Column("version", TEXT, nullable=False),
    Column("platform", TEXT, nullable=False),
    Column("address", TEXT, nullable=False),
    Column("relay_group_id", LONG, ForeignKey("relay_groups.id")),
    Column("policy_id", LONG, ForeignKey("policies.id"), nullable=False),
    Column("fingerprint", TEXT, nullable=False),
    Column("last_seen", Float),
    Column("display_name", TEXT, nullable=False, server_default=""),
    Column("architecture", TEXT, nullable=False, server_default=""),
    Column("description", TEXT, nullable=False, server_default=""),
    Column("group_id", LONG, ForeignKey("computer_groups.id")),
    Column("listen_port", LONG),
    Column("relay_port", LONG),
    Column("state", TEXT, nullable=False, server_default="active"),
    Column("online", Boolean, nullable=False, server_default=sa.false()),
    Column("clone", Boolean, nullable=False, server_default=sa.false()),
    Column("activated", Float, nullable=False, server_default="0"),
    Column("boot_id", TEXT, nullable=False, server_default=""),
    Column("boot_ids", JSON, nullable=False, server_default="[]"),
    Column("inventory", JSON, nullable=False, server_default="{}"),
    Column("guards", JSON, nullable=False, server_default="[]"),
    Column("guards_set", Boolean, nullable=False, server_default=sa.false()),
    # The certificates: the newest, and the one before it until the newest was seen in use.
    Column("previous_fingerprint", TEXT),
    Column("certificate_expires", Float),
    # The hello of the last handshake that ended with this computer's own certificate.
    Column("ja4", TEXT, nullable=False, server_default=""),
    Column("offered", VersionText),
    Column("negotiated", VersionText),
    Column("observed_at", Float),
    # Sequences of heartbeats and of the agent's own events.
    Column("last_sequence", LONG, nullable=False, server_default="0"),
    Column("last_event_sequence", LONG, nullable=False, server_default="0"),
    # The policy last given to it, in any way. Its floors count as sent only after a Send Policy (R14, R17).
    Column("policy_given", JSON),
    Column("policy_fingerprint", TEXT, nullable=False, server_default=""),
    Column("policy_generation", LONG, nullable=False, server_default="0"),
    Column("policy_given_at", Float),
    Column("floors_sent_at", Float),
    Column("agent_floor_given", VersionText),
    Column("relay_floor_given", VersionText),
    Column("policy_acked", TEXT, nullable=False, server_default=""),
    Column("policy_acked_at", Float),
    # A relay's floor: kept through an upgrade, reported by itself, observed by a handshake.
    Column("relay_floor_kept", VersionText),
    Column("relay_reported", VersionText),
    Column("relay_reported_origin", TEXT),
    Column("relay_reported_at", Float),
    Column("relay_observed", VersionText),
    Column("relay_observed_at", Float),
    Column("relay_observed_detail", TEXT, nullable=False, server_default=""),
    # Values of its policy that are its own; null where the policy's hold.
    Column("own_heartbeat_seconds", LONG),
    Column("own_missed_heartbeats", LONG),
    Column("own_direction", TEXT),
    # When it was last looked at, whatever that showed; the contradiction that was told, and since when there is one.
    Column("relay_looked_at", Float),
    Column("relay_drift", TEXT, nullable=False, server_default=""),
    Column("relay_drift_since", Float),
    # What its agent understands (`messages`); the authorities that it says it trusts; the one that issued its newest
    # certificate; and the one whose certificate it last showed in a handshake. Empty: not known.
    Column("capability", LONG, nullable=False, server_default="0"),
    Column("ca_trusts", TEXT, nullable=False, server_default=""),
    Column("ca_issuer", TEXT, nullable=False, server_default=""),
    Column("ca_shown", TEXT, nullable=False, server_default=""),
    # What people call it, in lower case and cut off: lists are sorted by it. `store.computers` keeps it.
    Column("sort_name", TEXT, nullable=False, server_default=""),
    # Who is it that was refused from there?
    Index("ix_computers_address", "address"),
    Index("ix_computers_group_id", "group_id"),
    # Who has the policy, and for whom does something of it wait?
    Index(
        "ix_computers_policy_given",
        "policy_id",
        "policy_fingerprint",
        "agent_floor_given",
        "own_heartbeat_seconds",
        "own_missed_heartbeats",
        "own_direction",
        "kind",
    ),
    Index("ix_computers_sort_name", "sort_name", "number"),
    # All that lists are narrowed by: SQLite reads this in place of rows that are twenty times as long. Nothing in it
    # changes with a heartbeat. Others read a table fast enough, and bound what an index may hold.
    Index(
        "ix_computers_listed",
        "sort_name",
        "number",
        "hostname",
        "display_name",
        "address",
        "version",
        "platform",
        "kind",
        "state",
        "online",
        "offered",
        "group_id",
        "relay_group_id",
        "policy_id",
        info=ONLY_SQLITE,
    ),
    Index("ix_computers_relay_group_id", "relay_group_id"),
)

commands = Table(
    "commands",
    metadata,
    Column("id", TEXT, primary_key=True),
    Column("computer", TEXT, ForeignKey("computers.id", ondelete="CASCADE"), nullable=False),
    Column("kind", TEXT, nullable=False),
    Column("body", JSON, nullable=False),
    Column("created", Float, nullable=False),
    Column("done", Float),
    Column("ok", Boolean),
    Column("text", TEXT, nullable=False, server_default=""),
    Index("ix_commands_computer_done", "computer", "done"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", TEXT, primary_key=True),
    Column("secret_hash", TEXT, nullable=False),
    Column("uses_left", LONG),
    Column("expires", Float, nullable=False),
    Column("uses", LONG),
    Column("kind", TEXT),
    Column("created", Float, nullable=False, server_default="0"),
    Column("who", TEXT, nullable=False, server_default=""),
)

users = Table(
    "users",
    metadata,
    Column("id", LONG, primary_key=True),
    Column("name", TEXT, nullable=False, unique=True),
    Column("password_hash", TEXT, nullable=False),
    Column("role", TEXT, nullable=False),
    Column("created", Float, nullable=False, server_default="0"),
    Column("disabled", Boolean, nullable=False, server_default=sa.false()),
    Column("failures", LONG, nullable=False, server_default="0"),
    Column("locked_until", Float),
    Column("last_sign_in", Float),
    Column("full_name", TEXT, nullable=False, server_default=""),
    Column("description", TEXT, nullable=False, server_default=""),
    # Where the user came from, and who that is there: issuer and subject of the identity provider. Not unique here: to
    # SQL Server all who have none would be the same; who makes a user looks first, and writes are alone.
    Column("origin", TEXT, nullable=False, server_default="local"),
    Column("external_id", TEXT),
    # Sealed with the key of the home: what codes are made of, and what waits for the first code.
    Column("totp_secret", TEXT, nullable=False, server_default=""),
    Column("totp_pending", TEXT, nullable=False, server_default=""),
    Column("totp_since", Float),
    # The step of the newest code that was used: none of it or before counts again.
    Column("totp_step", LONG, nullable=False, server_default="0"),
    Index("ix_users_external_id", "external_id"),
    sqlite_autoincrement=True,
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("user", TEXT, ForeignKey("users.name", ondelete="CASCADE"), primary_key=True),
    Column("code_hash", TEXT, primary_key=True),
)

# What a browser began at an identity provider and came back with: it counts once.
oidc_states = Table(
    "oidc_states",
    metadata,
    Column("state_hash", TEXT, primary_key=True),
    Column("until", Float, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("secret_hash", TEXT, primary_key=True),
    Column("user", TEXT, ForeignKey("users.name", ondelete="CASCADE"), nullable=False),
    Column("created", Float, nullable=False),
    Column("expires", Float, nullable=False),
    Column("address", TEXT, nullable=False),
    # When it was last used, to the minute, and how its user proved who he is.
    Column("last_used", Float, nullable=False, server_default="0"),
    Column("how", TEXT, nullable=False, server_default="password"),
    Index("ix_sessions_user", "user"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", LONG, primary_key=True),
    Column("name", TEXT, nullable=False),
    Column("secret_hash", TEXT, nullable=False),
    Column("role", TEXT, nullable=False),
    Column("created", Float, nullable=False),
    Column("expires", Float),
    Column("last_used", Float),
    Column("active", Boolean, nullable=False),
    Column("who", TEXT, nullable=False),
    Column("description", TEXT, nullable=False, server_default=""),
    # The newest connection that used it: from where, with which TLS and hello.
    Column("last_address", TEXT, nullable=False, server_default=""),
    Column("last_tls", VersionText),
    Column("last_ja4", TEXT, nullable=False, server_default=""),
    # Kept for the programs that set them; nothing here depends on them.
    Column("locale", TEXT, nullable=False, server_default="en-US"),
    Column("time_zone", TEXT, nullable=False, server_default="UTC"),
    # Ids are never used twice: an old sighting must not come to name a new key.
    sqlite_autoincrement=True,
)

audit = Table(
    "audit",
    metadata,
    Column("id", LONG, primary_key=True),
    Column("time", Float, nullable=False),
    Column("who", TEXT, nullable=False),
    Column("via", TEXT, nullable=False),
    Column("address", TEXT, nullable=False),
    Column("action", TEXT, nullable=False),
    Column("target", TEXT, nullable=False),
    Column("before", JSON),
    Column("after", JSON),
    # Each entry carries the hash of the one before it: `store/audit.py`.
    Column("previous", TEXT, nullable=False),
    Column("hash", TEXT, nullable=False),
)

#: Computers and points in the scope of PCI DSS (R10); each row names one of the two.
pci_scope = Table(
    "pci_scope",
    metadata,
    Column("id", LONG, primary_key=True),
    Column("point", TEXT, unique=True),
    Column("computer", TEXT, ForeignKey("computers.id", ondelete="CASCADE"), unique=True),
    Column("note", TEXT, nullable=False),
    Column("who", TEXT, nullable=False),
    Column("created", Float, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("id", LONG, primary_key=True),
    Column("time", Float, nullable=False),
    Column("number", LONG, nullable=False),
    Column("level", TEXT, nullable=False),
    Column("description", TEXT, nullable=False),
    # No foreign key: an event outlives the computer it is about.
    Column("computer", TEXT),
    Column("target", TEXT, nullable=False, server_default=""),
    Column("origin", TEXT, nullable=False, server_default="manager"),
    Column("extra", JSON, nullable=False, server_default="{}"),
    Index("ix_events_computer", "computer"),
)

#: Who is told of events. `cursor` is the newest event that arrived there or is not wanted; the rest waits.
notifications = Table(
    "notifications",
    metadata,
    Column("id", LONG, primary_key=True),
    Column("name", TEXT, nullable=False, unique=True),
    Column("kind", TEXT, nullable=False),
    Column("settings", JSON, nullable=False),
    # What signs a webhook: needed as it is, so not hashed. Never shown again, never in an audit entry.
    Column("secret", TEXT, nullable=False),
    Column("level", TEXT, nullable=False),
    Column("numbers", JSON, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("cursor", LONG, nullable=False),
    Column("created", Float, nullable=False),
    Column("who", TEXT, nullable=False),
    Column("delivered", Float),
    Column("failing_since", Float),
    Column("problem", TEXT, nullable=False),
    # Whether the failure that goes on was told as an event.
    Column("told", Boolean, nullable=False),
    sqlite_autoincrement=True,
)

#: One row for handshakes that are alike, under a hash of what makes them so; texts are empty where unknown.
sightings = Table(
    "sightings",
    metadata,
    Column("id", LONG, primary_key=True, autoincrement=False),
    Column("point", TEXT, nullable=False),
    Column("address", TEXT, nullable=False),
    Column("ja4", TEXT, nullable=False),
    Column("outcome", TEXT, nullable=False),
    Column("negotiated", TEXT, nullable=False),
    Column("who", TEXT, nullable=False),
    Column("offered", VersionText),
    Column("versions", JSON, nullable=False),
    Column("sni", TEXT, nullable=False),
    Column("user_agent", TEXT, nullable=False),
    Column("count", LONG, nullable=False),
    Column("first", Float, nullable=False),
    Column("last", Float, nullable=False),
    Column("detail", TEXT, nullable=False),
    # Programs and refusals are few among the heartbeats.
    Index("ix_sightings_point", "point", "outcome", "last"),
    Index("ix_sightings_last", "last"),
    Index("ix_sightings_who", "who"),
    Index("ix_sightings_address", "address"),
)

#: How often, in the `hours` from the hour `start` (since 1970) on: 1 at first, 24 once it is rolled up. No foreign
#: key: a look-up for each of millions of rows would cost more than the rare orphan.
sighting_counts = Table(
    "sighting_counts",
    metadata,
    Column("sighting", LONG, primary_key=True, autoincrement=False),
    Column("start", LONG, primary_key=True, autoincrement=False),
    Column("hours", LONG, primary_key=True, autoincrement=False),
    Column("count", LONG, nullable=False),
    # The key is nearly all there is: kept twice, as table and as index, it would be twice as large.
    sqlite_with_rowid=False,
)

#: All handshakes of an hour (since 1970) that came to the same: the versions over time, whatever the fleet's size.
#: Texts are empty where there is none, for the key to work. Our own scans are not counted.
handshake_totals = Table(
    "handshake_totals",
    metadata,
    Column("start", LONG, primary_key=True, autoincrement=False),
    Column("point", TEXT, primary_key=True),
    Column("outcome", TEXT, primary_key=True),
    Column("negotiated", TEXT, primary_key=True),
    Column("count", LONG, nullable=False),
    sqlite_with_rowid=False,
)

#: Software packages in the depot; `target` is the package's name in the repository's metadata.
software = Table(
    "software",
    metadata,
    Column("id", LONG, primary_key=True),
    Column("product", TEXT, nullable=False),
    Column("version", TEXT, nullable=False),
    Column("platform", TEXT, nullable=False),
    Column("architecture", TEXT, nullable=False),
    Column("file", TEXT, nullable=False),
    Column("length", LONG, nullable=False),
    Column("sha256", TEXT, nullable=False),
    Column("target", TEXT, nullable=False, unique=True),
    Column("key", TEXT, nullable=False),
    Column("signature", TEXT, nullable=False),
    Column("imported", Float, nullable=False),
    Column("who", TEXT, nullable=False),
    Column("origin", TEXT, nullable=False),
    # Ids are never used twice: an upgrade that is under way must not come to mean another package.
    sqlite_autoincrement=True,
)

#: Which release keys count: a chain of statements, each signed by a key of the one before it.
release_keys = Table(
    "release_keys",
    metadata,
    Column("number", LONG, primary_key=True, autoincrement=False),
    Column("text", TEXT, nullable=False),
    Column("added", Float, nullable=False),
    Column("who", TEXT, nullable=False),
)
