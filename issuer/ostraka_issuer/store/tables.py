"""The tables. Times are seconds since 1970-01-01T00:00:00Z."""

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
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

_BIG: Final = BigInteger().with_variant(Integer, "sqlite")
"""Positions and times go beyond 32 bits; SQLite counts up by itself only in an INTEGER."""

USERS: Final = Table(
    "users",
    METADATA,
    Column("id", Text, primary_key=True, comment="sub of the user's tokens"),
    Column("username", Text, nullable=False, unique=True),
    # A column update gone wrong must not leave an account that opens with nothing.
    Column("password_hash", Text, CheckConstraint("length(password_hash) > 0", "password_hash_there"), nullable=False),
    Column("disabled", Boolean, nullable=False, default=False),
    Column("created_at", Double, nullable=False),
    Column("password_changed_at", Double),
    Column(
        "failures_reset", _BIG, nullable=False, server_default="0", comment="how often failed logins were forgotten"
    ),
)

USER_PERMISSIONS: Final = Table(
    "user_permissions",
    METADATA,
    Column("user_id", Text, ForeignKey("users.id"), primary_key=True),
    Column("permission", Text, primary_key=True),
)

ROLES: Final = Table(
    "roles",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("description", Text),
    Column("created_at", Double, nullable=False),
)

ROLE_PERMISSIONS: Final = Table(
    "role_permissions",
    METADATA,
    Column("role", Text, ForeignKey("roles.name"), primary_key=True),
    Column("permission", Text, primary_key=True),
)

USER_ROLES: Final = Table(
    "user_roles",
    METADATA,
    Column("user_id", Text, ForeignKey("users.id"), primary_key=True),
    Column("role", Text, ForeignKey("roles.name"), primary_key=True),
    Index("user_roles_role", "role"),
)

CLIENTS: Final = Table(
    "clients",
    METADATA,
    Column("id", Text, primary_key=True, comment="client_id"),
    Column("name", Text, nullable=False),
    # RFC 7591 §2: none, client_secret_basic, private_key_jwt.
    Column("auth_method", Text, nullable=False),
    Column("secret_hash", LargeBinary, comment="SHA-256 of a secret of 256 bits that we made"),
    Column("jwks", JSON, comment="public keys of private_key_jwt"),
    Column("grant_types", JSON, nullable=False),
    Column("audiences", JSON, nullable=False, comment="what it may ask for"),
    Column("disabled", Boolean, nullable=False, default=False),
    Column("created_at", Double, nullable=False),
)

CLIENT_PERMISSIONS: Final = Table(
    "client_permissions",
    METADATA,
    Column("client_id", Text, ForeignKey("clients.id"), primary_key=True),
    Column("permission", Text, primary_key=True),
)

CLIENT_ASSERTIONS: Final = Table(
    "client_assertions",
    METADATA,
    Column("client_id", Text, primary_key=True),
    Column("jti", Text, primary_key=True, comment="of an assertion that was used (RFC 7523 §3)"),
    Column("exp", Double, nullable=False),
    Index("client_assertions_exp", "exp"),
)

LOGIN_FAILURES: Final = Table(
    "login_failures",
    METADATA,
    Column("key", Text, primary_key=True, comment="hash of what is throttled: an account or an address"),
    Column("failures", _BIG, nullable=False),
    Column("failed_at", Double, nullable=False),
    Index("login_failures_failed_at", "failed_at"),
)

LOGIN_PLACES: Final = Table(
    "login_places",
    METADATA,
    Column("user_id", Text, ForeignKey("users.id"), primary_key=True),
    Column("network", Text, primary_key=True, comment="hash of an address from which the user logged in"),
    Column("used_at", Double, nullable=False),
)

SESSIONS: Final = Table(
    "sessions",
    METADATA,
    Column("id", Text, primary_key=True, comment="sid of the session's tokens"),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("client_id", Text, nullable=False),
    Column("audience", JSON, nullable=False),
    Column("auth_time", _BIG, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("used_at", Double, nullable=False),
    Column("generation", _BIG, nullable=False, comment="of the one refresh token that is good"),
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
    Column("nbf", _BIG, nullable=False),
    Column("exp", _BIG, nullable=False),
    Column("max_token_lifetime", _BIG, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("jwk", JSON, nullable=False),
)

INTENTS: Final = Table(
    "intents",
    METADATA,
    Column("id", _BIG, primary_key=True, autoincrement=True, comment="order of commit"),
    Column("txn", Text, nullable=False, unique=True),
    Column("subject", JSON, nullable=False),
    Column("event_uri", Text, nullable=False),
    Column("event", JSON, nullable=False),
    Column("committed_at", Double, nullable=False),
    Column("seq", _BIG, comment="place in the feed, once it has one"),
    # AUTOINCREMENT: an id is never given twice, whatever is deleted.
    sqlite_autoincrement=True,
)
Index("intents_waiting", INTENTS.c.id, sqlite_where=INTENTS.c.seq.is_(None), postgresql_where=INTENTS.c.seq.is_(None))

FEED_RECORDS: Final = Table(
    "feed_records",
    METADATA,
    Column("epoch", _BIG, primary_key=True, autoincrement=False),
    Column("seq", _BIG, primary_key=True, autoincrement=False),
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
    Column("version", _BIG, primary_key=True, autoincrement=False),
    Column("raw", LargeBinary, nullable=False, comment="signed, as it travels"),
    Column("txn", Text, nullable=False, unique=True, comment="intent that brings it into the feed"),
    Column("epoch", _BIG, comment="place in the feed, once it has one"),
    Column("seq", _BIG),
)

SNAPSHOT_PARTS: Final = Table(
    "snapshot_parts",
    METADATA,
    Column("part", _BIG, primary_key=True, autoincrement=False, comment="counts from 1"),
    Column("raw", LargeBinary, nullable=False, comment="signed, as it travels"),
)

FEED_LEASE: Final = Table(
    "feed_lease",
    METADATA,
    Column("id", _BIG, CheckConstraint("id = 1", "one_lease"), primary_key=True, autoincrement=False),
    Column("holder", Text, comment="process that may write the feed"),
    Column("fence", _BIG, nullable=False, comment="raised whenever the lease changes hands"),
    Column("until", Double, nullable=False, comment="by the database's clock"),
)

FEED_HEARTBEAT: Final = Table(
    "feed_heartbeat",
    METADATA,
    Column("id", _BIG, CheckConstraint("id = 1", "one_heartbeat"), primary_key=True, autoincrement=False),
    Column("raw", LargeBinary, nullable=False, comment="the newest, signed, as it travels"),
)

PRIVATE_KEYS: Final = Table(
    "private_keys",
    METADATA,
    Column("use", Text, primary_key=True),
    Column("kid", Text, primary_key=True),
    Column("alg", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", Double, nullable=False),
)

AUDIT: Final = Table(
    "audit",
    METADATA,
    Column("id", _BIG, primary_key=True, autoincrement=True, comment="order of commit"),
    Column("at", Double, nullable=False),
    Column("actor", Text, nullable=False, comment="sub of the caller, or how the command line is called"),
    Column("action", Text, nullable=False),
    Column("target", Text),
    Column("details", JSON, nullable=False),
    Column("txn", Text, comment="intent that announces it, if it narrows access"),
    sqlite_autoincrement=True,
)
