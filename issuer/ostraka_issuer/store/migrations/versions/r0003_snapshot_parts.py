"""The newest snapshot, so that a start need not read the whole history."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Take the step."""
    op.create_table(
        "snapshot_parts",
        sa.Column("part", BIG, primary_key=True, autoincrement=False, comment="counts from 1"),
        sa.Column("raw", sa.LargeBinary, nullable=False, comment="signed, as it travels"),
    )


def downgrade() -> None:
    """Take it back."""
    op.drop_table("snapshot_parts")
