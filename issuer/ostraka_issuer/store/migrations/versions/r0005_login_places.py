"""Where accounts log in from, and how often their failed logins were made forgotten."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Take the step."""
    op.add_column(
        "users",
        sa.Column(
            "failures_reset", BIG, nullable=False, server_default="0", comment="how often failed logins were forgotten"
        ),
    )
    op.create_table(
        "login_places",
        sa.Column("user_id", sa.Text, sa.ForeignKey("users.id"), primary_key=True),
        sa.Column("network", sa.Text, primary_key=True, comment="hash of an address from which the user logged in"),
        sa.Column("used_at", sa.Double, nullable=False),
    )


def downgrade() -> None:
    """Take it back."""
    op.drop_table("login_places")
    op.drop_column("users", "failures_reset")
