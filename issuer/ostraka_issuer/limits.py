"""Every bound of the issuer, in one place, each with its reason. Times are seconds, sizes bytes, unless said otherwise.

The bounds of what travels are in ``ostraka_schemas.limits``.
"""

from typing import Final

# --- store -----------------------------------------------------------------------------------------------------------

DATABASE_CONNECTIONS: Final = 8
"""SQLite has one writer at a time; seven readers keep two cores busy."""

DATABASE_WAIT: Final = 5.0
"""How long a transaction waits for its turn. Longer than any of ours takes, shorter than a client's patience."""

# --- passwords and logins --------------------------------------------------------------------------------------------

PASSWORD_MIN_CHARS: Final = 8
"""NIST SP 800-63B §5.1.1.2."""

PASSWORD_MAX_BYTES: Final = 1_024
"""Argon2 first hashes the whole input, so the input is bounded; nobody types more."""

USERNAME_MAX_CHARS: Final = 255
HASHING_THREADS: Final = 2
"""Each holds up to 64 MiB while it hashes."""

HASHING_QUEUE: Final = 32
"""Logins that wait for a thread: some two seconds' worth. Beyond that the caller is told to come back."""

GRANTED_TEXT_MAX: Final = 4_096
"""Characters of all permissions of one user: they travel in every token, and a token has 8 KiB."""

# --- sessions --------------------------------------------------------------------------------------------------------

REFRESH_GRACE: Final = 10.0
"""A refresh token works once more this long after it was used, for the client whose answer got lost (FAPI 2.0 §5.3.2.1
asks for rotation only if a retry with the old token still succeeds)."""

SESSION_IDLE: Final = 30 * 24 * 3_600
SESSION_TOTAL: Final = 90 * 24 * 3_600
"""A session ends after 30 days without a refresh, and 90 days after the login whatever happens."""

GENERATION_MAX: Final = 2**32 - 1
"""Four bytes of a refresh token; one rotation a second lasts longer than any session."""

# --- token keys ------------------------------------------------------------------------------------------------------

KEY_LIFETIME: Final = 90 * 24 * 3_600
"""From first use to the end of the last token (four rotations a year)."""

KEY_LEAD: Final = 24 * 3_600
"""How long a successor is published before it signs: every verifier meets it long before the first token."""

KEY_LEAD_MAX: Final = 30 * 24 * 3_600
KEY_KEEPER_INTERVAL: Final = 60.0
"""The keeper looks at the keys at least this often, whatever it believes to be due next."""

KEY_KEEPER_RETRY: Final = 1.0
"""After an error the keeper waits this long."""

# --- revocations -----------------------------------------------------------------------------------------------------

CONFIRM_WAIT: Final = 5.0
"""How long an answer waits for the revocation's place in the feed; it is committed already."""

PAGE_MAX: Final = 200
"""Entries of one listing."""

# --- HTTP ------------------------------------------------------------------------------------------------------------

BODY_MAX_BYTES: Final = 16 * 1024
"""A refresh token, a password and a reason fit many times."""

KEY_SET_MAX_AGE: Final = 300
"""How long others' libraries may cache the JWKS. A successor is published ``KEY_LEAD`` before it signs."""

# --- feed ------------------------------------------------------------------------------------------------------------
