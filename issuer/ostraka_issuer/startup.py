"""What is read before anything runs: the home, the chain of root documents, and the settings as both bound them."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ostraka_consumers.anchor import TrustAnchor
from ostraka_schemas.root import RootDocument

from .errors import HomeError, SetupError
from .feed.roots import own_anchor, walk
from .home import Home
from .keys.opening import open_vault
from .keys.vault import Vault
from .settings import IssuerSettings
from .store import migrate
from .store.roots import StoredRoot, roots_in

_log = logging.getLogger("ostraka.issuer")


@dataclass(frozen=True, slots=True)
class Files:
    """What was read.

    Attributes:
        anchor: what services are deployed with.
        own_anchor: where the issuer's own verifier begins.
        root: the root document that the feed has come to, or the first one.
        root_in_feed: the same, ``None`` while the feed has none.
    """

    settings: IssuerSettings
    anchor: TrustAnchor
    own_anchor: TrustAnchor
    root: RootDocument
    root_in_feed: RootDocument | None
    vault: Vault


def open_files(settings: IssuerSettings) -> Files:
    """Read everything, and bring the database to this version's schema. Blocks.

    Raises:
        SetupError: the home, the keys or the settings cannot work; the message says what to do.
        StoreUnavailable: the database does not answer.
    """
    home = Home(settings.home)
    home.require(database=settings.database is None)
    _ = settings.kafka_security  # Reads its files here, where it may block; the copies made below keep it.
    anchor = TrustAnchor.load(home.anchor)
    migrate(settings)
    if home.root_key.exists():
        _log.warning("the root key still lies in %s: take it away, it has no business on this machine", home.root_key)
    stored = roots_in(settings)
    chain, in_feed = _chain(home, anchor, stored)
    root = in_feed or chain[0]
    settings = settle(settings, anchor, root, home.path)
    return Files(settings, anchor, own_anchor(stored, anchor), root, in_feed, open_vault(settings))


def _chain(
    home: Home, anchor: TrustAnchor, stored: Sequence[StoredRoot]
) -> tuple[list[RootDocument], RootDocument | None]:
    """All root documents, verified from the anchor on, and the one that the feed has come to, if it has begun."""
    try:
        chain = walk(stored, anchor)
    except HomeError as error:
        raise HomeError(f"{home.path}: {error}") from error
    placed = {root.version for root in stored if root.position is not None}
    return chain, next((root for root in reversed(chain) if root.version in placed), None)


def settle(settings: IssuerSettings, anchor: TrustAnchor, root: RootDocument, home: Path) -> IssuerSettings:
    """The settings as the home bounds them: what was fixed when it was made holds, unless it is contradicted.

    Raises:
        SetupError: a setting that was given says otherwise.
    """
    fixed: dict[str, object] = {"issuer": anchor.issuer}
    if root.iss != anchor.issuer:
        raise SetupError(f"{home}: the root document is of another issuer than the anchor")
    if settings.token_algorithm not in root.limits.token_algorithms:
        fixed["token_algorithm"] = root.limits.token_algorithms[0]
    if settings.heartbeat_interval > root.limits.heartbeat_interval:
        fixed["heartbeat_interval"] = root.limits.heartbeat_interval
    for name, value in fixed.items():
        if name in settings.model_fields_set and getattr(settings, name) != value:
            raise SetupError(f"the home {home} was made with another {name}: {value}")
    return settings.model_copy(update=fixed)
