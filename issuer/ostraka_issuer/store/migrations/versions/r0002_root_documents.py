"""The chain of root documents, taken from the intents that brought them so far."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

from ostraka_schemas import base64url
from ostraka_schemas.events import RootPublished
from ostraka_schemas.root import root_bytes

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Take the step."""
    table = op.create_table(
        "root_documents",
        sa.Column("version", BIG, primary_key=True, autoincrement=False),
        sa.Column("raw", sa.LargeBinary, nullable=False, comment="signed, as it travels"),
        sa.Column("txn", sa.Text, nullable=False, unique=True, comment="intent that brings it into the feed"),
        sa.Column("epoch", BIG, comment="place in the feed, once it has one"),
        sa.Column("seq", BIG),
    )
    query = sa.text(
        "SELECT intents.txn, CAST(intents.event AS TEXT), feed_records.epoch, feed_records.seq FROM intents "
        "LEFT JOIN feed_records ON feed_records.txn = intents.txn WHERE intents.event_uri = :uri"
    )
    rows = op.get_bind().execute(query, {"uri": RootPublished.uri}).all()
    if rows:
        op.bulk_insert(table, [_row(*row) for row in rows])


def _row(txn: str, event: str, epoch: int | None, seq: int | None) -> dict[str, Any]:
    value = json.loads(event)
    version = json.loads(base64url.decode_text(value["payload"]))["version"]
    return {"version": version, "raw": root_bytes(value), "txn": txn, "epoch": epoch, "seq": seq}


def downgrade() -> None:
    """Take it back."""
    op.drop_table("root_documents")
