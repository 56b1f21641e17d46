"""The shape of homes before 12.0.0: two ports, relays, and floors that need not have been set."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from plimsoll.manager.store.columns import LONG, TEXT

revision = "0001"
down_revision = None


def upgrade() -> None:
    _floors()
    _fleet()
    _access()


def _floors() -> None:
    op.create_table(
        "facts",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_facts"),
    )
    op.create_table(
        "floors",
        sa.Column("point", TEXT, nullable=False),
        sa.Column("version", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("point", name="pk_floors"),
    )
    op.create_table(
        "floor_history",
        sa.Column("id", LONG, nullable=False),
        sa.Column("time", sa.Float(), nullable=False),
        sa.Column("point", TEXT, nullable=False),
        sa.Column("floor", TEXT, nullable=False),
        sa.Column("who", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_floor_history"),
    )


def _fleet() -> None:
    op.create_table(
        "policies",
        sa.Column("id", LONG, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("relay_floor", TEXT),
        sa.Column("heartbeat_seconds", LONG),
        sa.Column("generation", LONG, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_policies"),
        sa.UniqueConstraint("name", name="uq_policies_name"),
    )
    op.create_table(
        "relay_groups",
        sa.Column("id", LONG, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_relay_groups"),
        sa.UniqueConstraint("name", name="uq_relay_groups_name"),
    )
    op.create_table(
        "computers",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("hostname", TEXT, nullable=False),
        sa.Column("version", TEXT, nullable=False),
        sa.Column("platform", TEXT, nullable=False),
        sa.Column("address", TEXT, nullable=False),
        sa.Column("relay_group_id", LONG),
        sa.Column("policy_id", LONG, nullable=False),
        sa.Column("fingerprint", TEXT, nullable=False),
        sa.Column("last_seen", sa.Float()),
        sa.Column("sent_relay_floor", TEXT),
        sa.Column("sent_at", sa.Float()),
        sa.PrimaryKeyConstraint("id", name="pk_computers"),
        sa.ForeignKeyConstraint(["relay_group_id"], ["relay_groups.id"], name="fk_computers_relay_group_id"),
        sa.ForeignKeyConstraint(["policy_id"], ["policies.id"], name="fk_computers_policy_id"),
    )
    op.create_table(
        "events",
        sa.Column("id", LONG, nullable=False),
        sa.Column("time", sa.Float(), nullable=False),
        sa.Column("number", LONG, nullable=False),
        sa.Column("level", TEXT, nullable=False),
        sa.Column("description", TEXT, nullable=False),
        sa.Column("computer", TEXT),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
    )


def _access() -> None:
    op.create_table(
        "tokens",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("secret_hash", TEXT, nullable=False),
        sa.Column("uses_left", LONG),
        sa.Column("expires", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
    )
    op.create_table(
        "users",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("password_hash", TEXT, nullable=False),
        sa.Column("role", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_users"),
    )
