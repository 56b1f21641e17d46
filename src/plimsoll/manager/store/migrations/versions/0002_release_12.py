"""What 12.0.0 adds: history with reasons, policies that are sent, evidence of handshakes, access and audit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import context, op

from plimsoll.manager.store.columns import LONG, TEXT

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    _widen_floors_and_policies()
    _add_groups()
    _add_kept_settings()
    _add_scheduled_tasks()
    _widen_computers()
    _number_computers()
    _widen_access_and_events()
    _add_fleet()
    _add_access()
    _add_scope()
    _add_notifications()
    _add_shadow()
    _add_changes()
    _add_software()
    _add_upgrades()
    _add_ciphers()
    _add_ca_rotations()
    _add_scans()
    _add_nodes()
    _add_proofs()


def _text(name: str, default: str | None = "") -> sa.Column[Any]:
    if default is None:
        return sa.Column(name, TEXT)
    return sa.Column(name, TEXT, nullable=False, server_default=default)


def _flag(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false())


def _number(name: str) -> sa.Column[Any]:
    return sa.Column(name, LONG, nullable=False, server_default="0")


def _json(name: str, default: str) -> sa.Column[Any]:
    return sa.Column(name, sa.JSON(), nullable=False, server_default=default)


def _widen_floors_and_policies() -> None:
    with op.batch_alter_table("floor_history") as table:
        table.add_column(_number("generation"))
        table.add_column(_text("before", None))
        table.add_column(_text("via"))
        table.add_column(_text("address"))
        table.add_column(_text("cause", "set"))
        table.add_column(_flag("forced"))
        table.add_column(_text("reason", None))
        table.add_column(_json("named", "[]"))
        table.add_column(_text("policy", None))
    # SQLite makes a table anew to give no id twice; PostgreSQL never did.
    anew: dict[str, Any] = {"recreate": "never"}
    if op.get_context().dialect.name == "sqlite":
        anew = {"recreate": "always", "table_kwargs": {"sqlite_autoincrement": True}}
    with op.batch_alter_table("policies", **anew) as table:
        table.add_column(sa.Column("parent_id", LONG))
        table.add_column(_text("agent_floor", None))
        table.add_column(sa.Column("missed_heartbeats", LONG))
        table.add_column(_text("direction", None))
        table.add_column(sa.Column("auto_send", sa.Boolean()))
        table.add_column(_text("description"))
        table.create_foreign_key("fk_policies_parent_id", "policies", ["parent_id"], ["id"])
    with op.batch_alter_table("relay_groups", **anew) as table:
        table.add_column(sa.Column("parent_id", LONG))
        table.create_foreign_key("fk_relay_groups_parent_id", "relay_groups", ["parent_id"], ["id"])


def _add_groups() -> None:
    op.create_table(
        "computer_groups",
        sa.Column("id", LONG, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        _text("description"),
        sa.Column("parent_id", LONG),
        sa.PrimaryKeyConstraint("id", name="pk_computer_groups"),
        sa.ForeignKeyConstraint(["parent_id"], ["computer_groups.id"], name="fk_computer_groups_parent_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_computer_groups_parent_id", "computer_groups", ["parent_id"])


def _computer_columns() -> list[sa.Column[Any]]:
    columns: list[sa.Column[Any]] = [
        *(_text(name) for name in ("display_name", "architecture", "description")),
        *(sa.Column(name, LONG) for name in ("number", "group_id", "listen_port", "relay_port")),
        _text("state", "active"),
        _flag("online"),
        _flag("clone"),
        sa.Column("activated", sa.Float(), nullable=False, server_default="0"),
        _text("boot_id"),
        _json("boot_ids", "[]"),
        _json("inventory", "{}"),
        _json("guards", "[]"),
        _flag("guards_set"),
        _text("previous_fingerprint", None),
        sa.Column("certificate_expires", sa.Float()),
        _text("ja4"),
        _text("offered", None),
        _text("negotiated", None),
        sa.Column("observed_at", sa.Float()),
        _number("last_sequence"),
        _number("last_event_sequence"),
        sa.Column("policy_given", sa.JSON()),
        _text("policy_fingerprint"),
        _number("policy_generation"),
        sa.Column("policy_given_at", sa.Float()),
        _text("agent_floor_given", None),
        _text("policy_acked"),
        sa.Column("policy_acked_at", sa.Float()),
        _text("relay_floor_kept", None),
        _text("relay_reported", None),
        _text("relay_reported_origin", None),
        sa.Column("relay_reported_at", sa.Float()),
        _text("relay_observed", None),
        sa.Column("relay_observed_at", sa.Float()),
        _text("relay_observed_detail"),
        sa.Column("relay_looked_at", sa.Float()),
        _text("relay_drift"),
        sa.Column("relay_drift_since", sa.Float()),
        _number("capability"),
        *(_text(name) for name in ("ca_trusts", "ca_issuer", "ca_shown")),
        *(sa.Column(name, LONG) for name in ("own_heartbeat_seconds", "own_missed_heartbeats")),
        _text("own_direction", None),
        _text("sort_name"),
    ]
    return columns


_GIVEN = (
    "policy_id",
    "policy_fingerprint",
    "agent_floor_given",
    "own_heartbeat_seconds",
    "own_missed_heartbeats",
    "own_direction",
    "kind",
)
#: Of the list's index, behind name and number.
_LISTED = ("hostname", "display_name", "address", "version", "platform", "kind", "state", "online", "offered")


def _widen_computers() -> None:
    with op.batch_alter_table("computers") as table:
        for column in _computer_columns():
            table.add_column(column)
        table.alter_column("sent_relay_floor", new_column_name="relay_floor_given")
        table.alter_column("sent_at", new_column_name="floors_sent_at")
        table.create_foreign_key("fk_computers_group_id", "computer_groups", ["group_id"], ["id"])
    op.create_index("ix_computers_address", "computers", ["address"])
    op.create_index("ix_computers_group_id", "computers", ["group_id"])
    op.create_index("ix_computers_policy_given", "computers", [*_GIVEN])
    op.create_index("ix_computers_sort_name", "computers", ["sort_name", "number"])
    op.create_index("ix_computers_relay_group_id", "computers", ["relay_group_id"])


def _add_kept_settings() -> None:
    op.create_table(
        "kept_settings",
        sa.Column("scope", TEXT, nullable=False),
        sa.Column("owner", LONG, nullable=False, autoincrement=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("scope", "owner", "name", name="pk_kept_settings"),
    )


def _add_scheduled_tasks() -> None:
    op.create_table(
        "scheduled_tasks",
        sa.Column("id", LONG, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("type", TEXT, nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("schedule", sa.JSON(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("who", TEXT, nullable=False),
        *(sa.Column(name, sa.Float()) for name in ("next_run", "asked", "last_run")),
        sa.Column("last_ok", sa.Boolean()),
        sa.Column("last_text", TEXT, nullable=False),
        sa.Column("runs", LONG, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_scheduled_tasks"),
        sqlite_autoincrement=True,
    )


def _number_computers() -> None:
    """Those that are there get numbers in the order of their ids."""
    op.create_table(
        "computer_numbers",
        sa.Column("number", LONG, nullable=False),
        sa.Column("computer", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_computer_numbers"),
        sa.UniqueConstraint("computer", name="uq_computer_numbers_computer"),
        sqlite_autoincrement=True,
    )
    op.execute("insert into computer_numbers (computer) select id from computers order by id")
    op.execute("update computers set number = (select number from computer_numbers where computer = computers.id)")
    with op.batch_alter_table("computers") as table:
        table.alter_column("number", existing_type=LONG, nullable=False)
        table.create_unique_constraint("uq_computers_number", ["number"])
    op.execute(
        "update computers set sort_name = lower(substr(case when display_name <> '' then display_name"
        " when hostname <> '' then hostname else id end, 1, 200))"
    )
    if op.get_context().dialect.name == "sqlite":
        listed = ("sort_name", "number", *_LISTED, "group_id", "relay_group_id", "policy_id")
        op.create_index("ix_computers_listed", "computers", [*listed])


def _number_users() -> None:
    """Made anew: a table's key cannot be changed in place, and there are few."""
    names = ("name", "password_hash", "role")
    found: Sequence[sa.Row[Any]] = ()
    if not context.is_offline_mode():  # SQL that is written down is for an empty database
        found = op.get_bind().execute(sa.text("select name, password_hash, role from users order by name")).all()
    op.drop_table("users")
    op.create_table(
        "users",
        sa.Column("id", LONG, nullable=False),
        *(sa.Column(name, TEXT, nullable=False) for name in names),
        sa.Column("created", sa.Float(), nullable=False, server_default="0"),
        _flag("disabled"),
        _number("failures"),
        sa.Column("locked_until", sa.Float()),
        sa.Column("last_sign_in", sa.Float()),
        _text("full_name"),
        _text("description"),
        _text("origin", "local"),
        _text("external_id", None),
        _text("totp_secret"),
        _text("totp_pending"),
        sa.Column("totp_since", sa.Float()),
        _number("totp_step"),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("name", name="uq_users_name"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_users_external_id", "users", ["external_id"])
    users = sa.table("users", *(sa.column(name) for name in names))
    if found:
        op.bulk_insert(users, [dict(row._mapping) for row in found])


def _widen_access_and_events() -> None:
    with op.batch_alter_table("tokens") as table:
        table.add_column(sa.Column("uses", LONG))
        table.add_column(_text("kind", None))
        table.add_column(sa.Column("created", sa.Float(), nullable=False, server_default="0"))
        table.add_column(_text("who"))
    _number_users()
    with op.batch_alter_table("events") as table:
        table.add_column(_text("target"))
        table.add_column(_text("origin", "manager"))
        table.add_column(_json("extra", "{}"))
    op.create_index("ix_events_computer", "events", ["computer"])


def _add_fleet() -> None:
    op.create_table(
        "rules",
        sa.Column("id", LONG, nullable=False),
        sa.Column("point", TEXT, nullable=False),
        sa.Column("floor", TEXT, nullable=False),
        sa.Column("source", TEXT),
        sa.Column("computer", TEXT),
        sa.Column("until", sa.Float()),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("who", TEXT, nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("kind", TEXT, nullable=False, server_default="exception"),
        sa.Column("owner", TEXT, nullable=False, server_default=""),
        sa.Column("warned", LONG, nullable=False, server_default="0"),
        sa.Column("ended", sa.Float()),
        sa.PrimaryKeyConstraint("id", name="pk_rules"),
        sa.ForeignKeyConstraint(["computer"], ["computers.id"], name="fk_rules_computer", ondelete="CASCADE"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "commands",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("computer", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("done", sa.Float()),
        sa.Column("ok", sa.Boolean()),
        sa.Column("text", TEXT, nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("id", name="pk_commands"),
        sa.ForeignKeyConstraint(["computer"], ["computers.id"], name="fk_commands_computer", ondelete="CASCADE"),
    )
    op.create_index("ix_commands_computer_done", "commands", ["computer", "done"])
    _add_sightings()


def _add_sightings() -> None:
    op.create_table(
        "sightings",
        sa.Column("id", LONG, nullable=False, autoincrement=False),
        *(
            sa.Column(name, TEXT, nullable=False)
            for name in ("point", "address", "ja4", "outcome", "negotiated", "who")
        ),
        sa.Column("offered", TEXT),
        sa.Column("versions", sa.JSON(), nullable=False),
        sa.Column("sni", TEXT, nullable=False),
        sa.Column("user_agent", TEXT, nullable=False),
        sa.Column("count", LONG, nullable=False),
        sa.Column("first", sa.Float(), nullable=False),
        sa.Column("last", sa.Float(), nullable=False),
        sa.Column("detail", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sightings"),
    )
    op.create_index("ix_sightings_point", "sightings", ["point", "outcome", "last"])
    for name in ("last", "who", "address"):
        op.create_index(f"ix_sightings_{name}", "sightings", [name])
    op.create_table(
        "sighting_counts",
        sa.Column("sighting", LONG, nullable=False, autoincrement=False),
        sa.Column("start", LONG, nullable=False, autoincrement=False),
        sa.Column("hours", LONG, nullable=False, autoincrement=False),
        sa.Column("count", LONG, nullable=False),
        sa.PrimaryKeyConstraint("sighting", "start", "hours", name="pk_sighting_counts"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "handshake_totals",
        sa.Column("start", LONG, nullable=False, autoincrement=False),
        sa.Column("point", TEXT, nullable=False),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("negotiated", TEXT, nullable=False),
        sa.Column("count", LONG, nullable=False),
        sa.PrimaryKeyConstraint("start", "point", "outcome", "negotiated", name="pk_handshake_totals"),
        sqlite_with_rowid=False,
    )


def _add_access() -> None:
    op.create_table(
        "sessions",
        sa.Column("secret_hash", TEXT, nullable=False),
        sa.Column("user", TEXT, nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("expires", sa.Float(), nullable=False),
        sa.Column("address", TEXT, nullable=False),
        sa.Column("last_used", sa.Float(), nullable=False, server_default="0"),
        _text("how", "password"),
        sa.PrimaryKeyConstraint("secret_hash", name="pk_sessions"),
        sa.ForeignKeyConstraint(["user"], ["users.name"], name="fk_sessions_user", ondelete="CASCADE"),
    )
    op.create_index("ix_sessions_user", "sessions", ["user"])
    op.create_table(
        "oidc_states",
        sa.Column("state_hash", TEXT, nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("state_hash", name="pk_oidc_states"),
    )
    op.create_table(
        "recovery_codes",
        sa.Column("user", TEXT, nullable=False),
        sa.Column("code_hash", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("user", "code_hash", name="pk_recovery_codes"),
        sa.ForeignKeyConstraint(["user"], ["users.name"], name="fk_recovery_codes_user", ondelete="CASCADE"),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", LONG, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("secret_hash", TEXT, nullable=False),
        sa.Column("role", TEXT, nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("expires", sa.Float()),
        sa.Column("last_used", sa.Float()),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("who", TEXT, nullable=False),
        _text("description"),
        _text("last_address"),
        _text("last_tls", None),
        _text("last_ja4"),
        _text("locale", "en-US"),
        _text("time_zone", "UTC"),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "audit",
        sa.Column("id", LONG, nullable=False),
        sa.Column("time", sa.Float(), nullable=False),
        sa.Column("who", TEXT, nullable=False),
        sa.Column("via", TEXT, nullable=False),
        sa.Column("address", TEXT, nullable=False),
        sa.Column("action", TEXT, nullable=False),
        sa.Column("target", TEXT, nullable=False),
        sa.Column("before", sa.JSON()),
        sa.Column("after", sa.JSON()),
        sa.Column("previous", TEXT, nullable=False),
        sa.Column("hash", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )


def _add_scope() -> None:
    op.create_table(
        "pci_scope",
        sa.Column("id", LONG, nullable=False),
        sa.Column("point", TEXT),
        sa.Column("computer", TEXT),
        sa.Column("note", TEXT, nullable=False),
        sa.Column("who", TEXT, nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_pci_scope"),
        sa.ForeignKeyConstraint(["computer"], ["computers.id"], name="fk_pci_scope_computer", ondelete="CASCADE"),
        sa.UniqueConstraint("point", name="uq_pci_scope_point"),
        sa.UniqueConstraint("computer", name="uq_pci_scope_computer"),
    )


def _add_notifications() -> None:
    op.create_table(
        "notifications",
        sa.Column("id", LONG, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("secret", TEXT, nullable=False),
        sa.Column("level", TEXT, nullable=False),
        sa.Column("numbers", sa.JSON(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("cursor", LONG, nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("who", TEXT, nullable=False),
        sa.Column("delivered", sa.Float()),
        sa.Column("failing_since", sa.Float()),
        sa.Column("problem", TEXT, nullable=False),
        sa.Column("told", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_notifications"),
        sa.UniqueConstraint("name", name="uq_notifications_name"),
        sqlite_autoincrement=True,
    )


def _add_shadow() -> None:
    op.create_table(
        "shadow_floors",
        sa.Column("point", TEXT, nullable=False),
        sa.Column("floor", TEXT, nullable=False),
        sa.Column("who", TEXT, nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("point", name="pk_shadow_floors"),
    )
    key = ("day", "point", "floor", "who", "address", "ja4", "since")
    op.create_table(
        "shadow_refusals",
        sa.Column("day", LONG, nullable=False),
        *(sa.Column(name, TEXT, nullable=False) for name in key[1:-1]),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("offered", TEXT),
        sa.Column("negotiated", TEXT),
        sa.Column("count", LONG, nullable=False),
        sa.Column("first", sa.Float(), nullable=False),
        sa.Column("last", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint(*key, name="pk_shadow_refusals"),
    )
    op.create_index("ix_shadow_refusals_last", "shadow_refusals", ["last"])


def _add_changes() -> None:
    op.create_table(
        "changes",
        sa.Column("id", LONG, nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        *(sa.Column(name, TEXT, nullable=False) for name in ("who", "name", "via", "target", "direction")),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("stage", TEXT, nullable=False),
        sa.Column("entered", sa.Float(), nullable=False),
        sa.Column("soaked", sa.Float(), nullable=False),
        *(sa.Column(name, sa.JSON(), nullable=False) for name in ("options", "effects", "seen")),
        sa.Column("text", TEXT, nullable=False),
        sa.Column("approved_by", TEXT),
        sa.Column("ended", sa.Float()),
        sa.Column("proof", sa.JSON()),
        sa.Column("version", LONG, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_changes"),
    )
    op.create_table(
        "change_log",
        sa.Column("id", LONG, nullable=False),
        sa.Column("change", LONG, nullable=False),
        sa.Column("time", sa.Float(), nullable=False),
        *(sa.Column(name, TEXT, nullable=False) for name in ("stage", "what", "text", "who")),
        sa.PrimaryKeyConstraint("id", name="pk_change_log"),
        sa.ForeignKeyConstraint(["change"], ["changes.id"], name="fk_change_log_change"),
    )
    op.create_index("ix_change_log_change", "change_log", ["change"])


def _add_software() -> None:
    texts = ("product", "version", "platform", "architecture", "file")
    op.create_table(
        "software",
        sa.Column("id", LONG, nullable=False),
        *(sa.Column(name, TEXT, nullable=False) for name in texts),
        sa.Column("length", LONG, nullable=False),
        *(sa.Column(name, TEXT, nullable=False) for name in ("sha256", "target", "key", "signature")),
        sa.Column("imported", sa.Float(), nullable=False),
        *(sa.Column(name, TEXT, nullable=False) for name in ("who", "origin")),
        sa.PrimaryKeyConstraint("id", name="pk_software"),
        sa.UniqueConstraint("target", name="uq_software_target"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "release_keys",
        sa.Column("number", LONG, nullable=False, autoincrement=False),
        sa.Column("text", TEXT, nullable=False),
        sa.Column("added", sa.Float(), nullable=False),
        sa.Column("who", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_release_keys"),
    )


def _add_upgrades() -> None:
    op.create_table(
        "upgrades",
        sa.Column("id", LONG, nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        *(sa.Column(name, TEXT, nullable=False) for name in ("who", "name", "via", "target", "state")),
        sa.Column("wave", LONG, nullable=False),
        sa.Column("entered", sa.Float(), nullable=False),
        sa.Column("soaked", sa.Float(), nullable=False),
        *(sa.Column(name, sa.JSON(), nullable=False) for name in ("options", "seen")),
        sa.Column("text", TEXT, nullable=False),
        sa.Column("ended", sa.Float()),
        sa.Column("version", LONG, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_upgrades"),
    )
    op.create_table(
        "upgrade_log",
        sa.Column("id", LONG, nullable=False),
        sa.Column("upgrade", LONG, nullable=False),
        sa.Column("time", sa.Float(), nullable=False),
        *(sa.Column(name, TEXT, nullable=False) for name in ("stage", "what", "text", "who")),
        sa.PrimaryKeyConstraint("id", name="pk_upgrade_log"),
        sa.ForeignKeyConstraint(["upgrade"], ["upgrades.id"], name="fk_upgrade_log_upgrade"),
    )
    op.create_index("ix_upgrade_log_upgrade", "upgrade_log", ["upgrade"])
    op.create_table(
        "upgrade_hosts",
        sa.Column("upgrade", LONG, nullable=False),
        *(sa.Column(name, TEXT, nullable=False) for name in ("computer", "name")),
        sa.Column("wave", LONG, nullable=False),
        *(sa.Column(name, TEXT, nullable=False) for name in ("state", "former", "goal", "package", "command")),
        sa.Column("since", sa.Float(), nullable=False),
        *(sa.Column(name, TEXT, nullable=False) for name in ("detail", "code")),
        sa.PrimaryKeyConstraint("upgrade", "computer", name="pk_upgrade_hosts"),
        sa.ForeignKeyConstraint(["upgrade"], ["upgrades.id"], name="fk_upgrade_hosts_upgrade"),
    )
    op.create_index("ix_upgrade_hosts_upgrade", "upgrade_hosts", ["upgrade", "wave", "state"])
    op.create_index("ix_upgrade_hosts_command", "upgrade_hosts", ["command"])


def _add_ciphers() -> None:
    op.create_table(
        "cipher_profiles",
        sa.Column("point", TEXT, nullable=False),
        sa.Column("profile", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("point", name="pk_cipher_profiles"),
    )
    op.create_table(
        "cipher_history",
        sa.Column("id", LONG, nullable=False),
        sa.Column("time", sa.Float(), nullable=False),
        *(sa.Column(name, TEXT, nullable=False) for name in ("point", "before", "profile", "who", "via", "address")),
        sa.Column("forced", sa.Boolean(), nullable=False),
        sa.Column("reason", TEXT),
        sa.Column("named", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_cipher_history"),
    )
    op.create_table(
        "offered_suites",
        sa.Column("mark", TEXT, nullable=False),
        sa.Column("suites", sa.JSON(), nullable=False),
        sa.Column("named", sa.Boolean(), nullable=False),
        sa.Column("seen", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("mark", name="pk_offered_suites"),
    )


def _add_ca_rotations() -> None:
    op.create_table(
        "authorities",
        *(sa.Column(name, TEXT, nullable=False) for name in ("fingerprint", "key_hash")),
        sa.Column("made", sa.Float(), nullable=False),
        *(sa.Column(name, TEXT, nullable=False) for name in ("certificate", "sealed_key")),
        sa.PrimaryKeyConstraint("fingerprint", name="pk_authorities"),
    )
    op.create_index("ix_authorities_key_hash", "authorities", ["key_hash"])
    op.create_table(
        "ca_rotations",
        sa.Column("id", LONG, nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        *(sa.Column(name, TEXT, nullable=False) for name in ("who", "name", "via", "state")),
        *(sa.Column(name, sa.Float(), nullable=False) for name in ("entered", "soaked")),
        *(sa.Column(name, TEXT, nullable=False) for name in ("old", "new", "new_with_old", "old_with_new")),
        sa.Column("switched", sa.Float()),
        *(sa.Column(name, sa.JSON(), nullable=False) for name in ("options", "seen")),
        sa.Column("text", TEXT, nullable=False),
        sa.Column("ended", sa.Float()),
        sa.Column("version", LONG, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ca_rotations"),
    )
    op.create_table(
        "ca_rotation_log",
        sa.Column("id", LONG, nullable=False),
        sa.Column("rotation", LONG, nullable=False),
        sa.Column("time", sa.Float(), nullable=False),
        *(sa.Column(name, TEXT, nullable=False) for name in ("stage", "what", "text", "who")),
        sa.PrimaryKeyConstraint("id", name="pk_ca_rotation_log"),
        sa.ForeignKeyConstraint(["rotation"], ["ca_rotations.id"], name="fk_ca_rotation_log_rotation"),
    )
    op.create_index("ix_ca_rotation_log_rotation", "ca_rotation_log", ["rotation"])


def _add_scans() -> None:
    op.create_table(
        "scans",
        sa.Column("id", LONG, nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        *(sa.Column(name, TEXT, nullable=False) for name in ("who", "via", "label", "state")),
        *(sa.Column(name, sa.JSON(), nullable=False) for name in ("asked", "left_out")),
        *(sa.Column(name, LONG, nullable=False) for name in ("total", "done", "failing", "unproved", "findings")),
        sa.Column("node", TEXT, nullable=False),
        *(sa.Column(name, sa.Float()) for name in ("started", "ended")),
        sa.Column("text", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_scans"),
    )
    op.create_index("ix_scans_state", "scans", ["state"])
    op.create_table(
        "scan_endpoints",
        *(sa.Column(name, LONG, nullable=False) for name in ("scan", "position")),
        sa.Column("host", TEXT, nullable=False),
        sa.Column("port", LONG, nullable=False),
        *(sa.Column(name, TEXT, nullable=False) for name in ("opening", "server_name", "point")),
        sa.Column("computer", TEXT),
        *(sa.Column(name, TEXT, nullable=False) for name in ("name", "state", "note")),
        sa.Column("accepted", sa.JSON(), nullable=False),
        sa.Column("letter", TEXT, nullable=False),
        sa.Column("verdicts", sa.JSON(), nullable=False),
        sa.Column("report", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("scan", "position", name="pk_scan_endpoints"),
        sa.ForeignKeyConstraint(["scan"], ["scans.id"], name="fk_scan_endpoints_scan"),
    )


def _add_nodes() -> None:
    op.create_table(
        "nodes",
        *(sa.Column(name, TEXT, nullable=False) for name in ("id", "name", "address", "release")),
        *(sa.Column(name, LONG, nullable=False) for name in ("gui_port", "heartbeat_port")),
        *(sa.Column(name, sa.Float(), nullable=False) for name in ("started", "seen")),
        sa.Column("generation", LONG, nullable=False),
        *(sa.Column(name, TEXT, nullable=False) for name in ("state", "text", "authorities")),
        sa.PrimaryKeyConstraint("id", name="pk_nodes"),
    )
    op.create_table(
        "leases",
        *(sa.Column(name, TEXT, nullable=False) for name in ("name", "node")),
        sa.Column("until", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )
    op.create_table(
        "kept_judgements",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("names", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_kept_judgements"),
    )
    op.create_table(
        "api_usage",
        *(sa.Column(name, TEXT, nullable=False) for name in ("node", "who")),
        *(sa.Column(name, sa.Float(), nullable=False) for name in ("first", "last")),
        *(sa.Column(name, LONG, nullable=False) for name in ("requests", "limited")),
        sa.Column("changed", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("node", "who", name="pk_api_usage"),
    )


def _add_proofs() -> None:
    op.create_table(
        "proofs",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("made", sa.Float(), nullable=False),
        *(sa.Column(name, TEXT, nullable=False) for name in ("who", "verdict")),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("scope", TEXT),
        sa.Column("change", LONG),
        sa.Column("key", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_proofs"),
    )
    op.create_table(
        "proof_pieces",
        *(sa.Column(name, TEXT, nullable=False) for name in ("proof", "file")),
        sa.Column("number", LONG, nullable=False, autoincrement=False),
        sa.Column("data", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("proof", "file", "number", name="pk_proof_pieces"),
        sa.ForeignKeyConstraint(["proof"], ["proofs.id"], name="fk_proof_pieces_proof"),
    )
    op.create_table(
        "proof_keys",
        *(sa.Column(name, TEXT, nullable=False) for name in ("id", "pem", "sealed")),
        sa.Column("made", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_proof_keys"),
    )
