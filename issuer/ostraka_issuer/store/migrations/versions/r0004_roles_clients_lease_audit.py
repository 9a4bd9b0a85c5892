"""Roles, clients, throttling, the feed's lease and newest heartbeat, sealed private keys, the audit trail."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Take the step."""
    op.add_column("users", sa.Column("password_changed_at", sa.Double))
    _roles()
    _clients()
    _feed()
    op.create_table(
        "login_failures",
        sa.Column("key", sa.Text, primary_key=True, comment="hash of what is throttled: an account or an address"),
        sa.Column("failures", BIG, nullable=False),
        sa.Column("failed_at", sa.Double, nullable=False),
    )
    op.create_index("login_failures_failed_at", "login_failures", ["failed_at"])
    op.create_table(
        "audit",
        sa.Column("id", BIG, primary_key=True, autoincrement=True, comment="order of commit"),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("actor", sa.Text, nullable=False, comment="sub of the caller, or how the command line is called"),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("target", sa.Text),
        sa.Column("details", sa.JSON, nullable=False),
        sa.Column("txn", sa.Text, comment="intent that announces it, if it narrows access"),
        sqlite_autoincrement=True,
    )


def _roles() -> None:
    op.create_table(
        "roles",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("description", sa.Text),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_table(
        "role_permissions",
        sa.Column("role", sa.Text, sa.ForeignKey("roles.name"), primary_key=True),
        sa.Column("permission", sa.Text, primary_key=True),
    )
    op.create_table(
        "user_roles",
        sa.Column("user_id", sa.Text, sa.ForeignKey("users.id"), primary_key=True),
        sa.Column("role", sa.Text, sa.ForeignKey("roles.name"), primary_key=True),
    )
    op.create_index("user_roles_role", "user_roles", ["role"])


def _clients() -> None:
    clients = op.create_table(
        "clients",
        sa.Column("id", sa.Text, primary_key=True, comment="client_id"),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("auth_method", sa.Text, nullable=False),
        sa.Column("secret_hash", sa.LargeBinary, comment="SHA-256 of a secret of 256 bits that we made"),
        sa.Column("jwks", sa.JSON, comment="public keys of private_key_jwt"),
        sa.Column("grant_types", sa.JSON, nullable=False),
        sa.Column("audiences", sa.JSON, nullable=False, comment="what it may ask for"),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_table(
        "client_permissions",
        sa.Column("client_id", sa.Text, sa.ForeignKey("clients.id"), primary_key=True),
        sa.Column("permission", sa.Text, primary_key=True),
    )
    op.create_table(
        "client_assertions",
        sa.Column("client_id", sa.Text, primary_key=True),
        sa.Column("jti", sa.Text, primary_key=True, comment="of an assertion that was used (RFC 7523 §3)"),
        sa.Column("exp", sa.Double, nullable=False),
    )
    op.create_index("client_assertions_exp", "client_assertions", ["exp"])
    rows = op.get_bind().execute(sa.text("SELECT client_id, min(created_at) FROM sessions GROUP BY client_id")).all()
    if rows:
        op.bulk_insert(clients, [_public_client(*row) for row in rows])


def _public_client(client_id: str, created_at: float) -> dict[str, Any]:
    # Sessions were opened for clients that nobody had to make known; they go on as public ones.
    return {
        "id": client_id,
        "name": client_id,
        "auth_method": "none",
        "secret_hash": None,
        "jwks": None,
        "grant_types": ["password", "refresh_token"],
        "audiences": [],
        "disabled": False,
        "created_at": created_at,
    }


def _feed() -> None:
    op.create_table(
        "feed_lease",
        sa.Column("id", BIG, sa.CheckConstraint("id = 1", "one_lease"), primary_key=True, autoincrement=False),
        sa.Column("holder", sa.Text, comment="process that may write the feed"),
        sa.Column("fence", BIG, nullable=False, comment="raised whenever the lease changes hands"),
        sa.Column("until", sa.Double, nullable=False, comment="by the database's clock"),
    )
    op.create_table(
        "feed_heartbeat",
        sa.Column("id", BIG, sa.CheckConstraint("id = 1", "one_heartbeat"), primary_key=True, autoincrement=False),
        sa.Column("raw", sa.LargeBinary, nullable=False, comment="the newest, signed, as it travels"),
    )
    op.create_table(
        "private_keys",
        sa.Column("use", sa.Text, primary_key=True),
        sa.Column("kid", sa.Text, primary_key=True),
        sa.Column("alg", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )


def downgrade() -> None:
    """Take it back."""
    for table in (
        "audit",
        "login_failures",
        "private_keys",
        "feed_heartbeat",
        "feed_lease",
        "client_assertions",
        "client_permissions",
        "clients",
        "user_roles",
        "role_permissions",
        "roles",
    ):
        op.drop_table(table)
    op.drop_column("users", "password_changed_at")
