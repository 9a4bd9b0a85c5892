"""The tables. Times are seconds since 1970-01-01T00:00:00Z."""

from typing import Final

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

METADATA: Final = MetaData()

USERS: Final = Table(
    "users",
    METADATA,
    Column("id", Text, primary_key=True, comment="sub of the user's tokens"),
    Column("username", Text, nullable=False, unique=True),
    # A column update gone wrong must not leave an account that opens with nothing.
    Column("password_hash", Text, CheckConstraint("length(password_hash) > 0", "password_hash_there"), nullable=False),
    Column("disabled", Boolean, nullable=False, default=False),
    Column("created_at", Double, nullable=False),
)

USER_PERMISSIONS: Final = Table(
    "user_permissions",
    METADATA,
    Column("user_id", Text, ForeignKey("users.id"), primary_key=True),
    Column("permission", Text, primary_key=True),
)

SESSIONS: Final = Table(
    "sessions",
    METADATA,
    Column("id", Text, primary_key=True, comment="sid of the session's tokens"),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("client_id", Text, nullable=False),
    Column("audience", JSON, nullable=False),
    Column("auth_time", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("used_at", Double, nullable=False),
    Column("generation", Integer, nullable=False, comment="of the one refresh token that is good"),
    Column("rotated_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("end_reason", Text),
    Index("sessions_user", "user_id"),
    Index("sessions_client", "client_id"),
)

TOKEN_KEYS: Final = Table(
    "token_keys",
    METADATA,
    Column("kid", Text, primary_key=True),
    Column("alg", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("state_at", Double, nullable=False, comment="since when"),
    Column("state_txn", Text, nullable=False, comment="intent that announces the state"),
    Column("nbf", Integer, nullable=False),
    Column("exp", Integer, nullable=False),
    Column("max_token_lifetime", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("jwk", JSON, nullable=False),
)

INTENTS: Final = Table(
    "intents",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True, comment="order of commit"),
    Column("txn", Text, nullable=False, unique=True),
    Column("subject", JSON, nullable=False),
    Column("event_uri", Text, nullable=False),
    Column("event", JSON, nullable=False),
    Column("committed_at", Double, nullable=False),
    Column("seq", Integer, comment="place in the feed, once it has one"),
    # AUTOINCREMENT: an id is never given twice, whatever is deleted.
    sqlite_autoincrement=True,
)
Index("intents_waiting", INTENTS.c.id, sqlite_where=INTENTS.c.seq.is_(None), postgresql_where=INTENTS.c.seq.is_(None))

FEED_RECORDS: Final = Table(
    "feed_records",
    METADATA,
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("txn", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("published_at", Double),
    Index("feed_records_txn", "txn"),
)

ROOT_DOCUMENTS: Final = Table(
    "root_documents",
    METADATA,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("raw", LargeBinary, nullable=False, comment="signed, as it travels"),
    Column("txn", Text, nullable=False, unique=True, comment="intent that brings it into the feed"),
    Column("epoch", Integer, comment="place in the feed, once it has one"),
    Column("seq", Integer),
)

SNAPSHOT_PARTS: Final = Table(
    "snapshot_parts",
    METADATA,
    Column("part", Integer, primary_key=True, autoincrement=False, comment="counts from 1"),
    Column("raw", LargeBinary, nullable=False, comment="signed, as it travels"),
)
