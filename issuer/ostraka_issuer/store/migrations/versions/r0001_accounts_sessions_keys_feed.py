"""Accounts, sessions, token keys, intents and the feed."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Take the step."""
    op.create_table(
        "users",
        sa.Column("id", sa.Text, primary_key=True, comment="sub of the user's tokens"),
        sa.Column("username", sa.Text, nullable=False, unique=True),
        sa.Column(
            "password_hash",
            sa.Text,
            sa.CheckConstraint("length(password_hash) > 0", "password_hash_there"),
            nullable=False,
        ),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_table(
        "user_permissions",
        sa.Column("user_id", sa.Text, sa.ForeignKey("users.id"), primary_key=True),
        sa.Column("permission", sa.Text, primary_key=True),
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.Text, primary_key=True, comment="sid of the session's tokens"),
        sa.Column("user_id", sa.Text, sa.ForeignKey("users.id"), nullable=False),
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("audience", sa.JSON, nullable=False),
        sa.Column("auth_time", BIG, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("used_at", sa.Double, nullable=False),
        sa.Column("generation", BIG, nullable=False, comment="of the one refresh token that is good"),
        sa.Column("rotated_at", sa.Double, nullable=False),
        sa.Column("ended_at", sa.Double),
        sa.Column("end_reason", sa.Text),
    )
    op.create_index("sessions_user", "sessions", ["user_id"])
    op.create_index("sessions_client", "sessions", ["client_id"])
    op.create_table(
        "token_keys",
        sa.Column("kid", sa.Text, primary_key=True),
        sa.Column("alg", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("state_at", sa.Double, nullable=False, comment="since when"),
        sa.Column("state_txn", sa.Text, nullable=False, comment="intent that announces the state"),
        sa.Column("nbf", BIG, nullable=False),
        sa.Column("exp", BIG, nullable=False),
        sa.Column("max_token_lifetime", BIG, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("jwk", sa.JSON, nullable=False),
    )
    op.create_table(
        "intents",
        sa.Column("id", BIG, primary_key=True, autoincrement=True, comment="order of commit"),
        sa.Column("txn", sa.Text, nullable=False, unique=True),
        sa.Column("subject", sa.JSON, nullable=False),
        sa.Column("event_uri", sa.Text, nullable=False),
        sa.Column("event", sa.JSON, nullable=False),
        sa.Column("committed_at", sa.Double, nullable=False),
        sa.Column("seq", BIG, comment="place in the feed, once it has one"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "intents_waiting",
        "intents",
        ["id"],
        sqlite_where=sa.text("seq IS NULL"),
        postgresql_where=sa.text("seq IS NULL"),
    )
    op.create_table(
        "feed_records",
        sa.Column("epoch", BIG, primary_key=True, autoincrement=False),
        sa.Column("seq", BIG, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("raw", sa.LargeBinary, nullable=False),
        sa.Column("txn", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("published_at", sa.Double),
    )
    op.create_index("feed_records_txn", "feed_records", ["txn"])


def downgrade() -> None:
    """Take it back."""
    for table in ("feed_records", "intents", "token_keys", "sessions", "user_permissions", "users"):
        op.drop_table(table)
