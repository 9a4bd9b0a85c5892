"""The issuer's home: one directory with everything it keeps.

anchor.json   what verifiers are deployed with: issuer and root thumbprints
ostraka.db    accounts, sessions, intents, the feed, the chain of root documents
secret.key    the secret that private keys are sealed with, unless it is given elsewhere; only its owner may read it
keys/         private keys, sealed, unless the database has them
root.pem      the root key, until it is taken away: it has no business here (``init`` without ``--profile dev``)
session.json  the command line's own login
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ostraka_consumers.persistence.files import sync_directory
from ostraka_schemas import strict_json
from ostraka_schemas.errors import WireError
from ostraka_schemas.limits import ROOT_MAX_BYTES

from .errors import HomeError

_JSON_MAX_BYTES = 2 * ROOT_MAX_BYTES


@dataclass(frozen=True, slots=True)
class Home:
    """Where things lie in ``path``."""

    path: Path

    @property
    def anchor(self) -> Path:
        """The trust anchor, for verifiers."""
        return self.path / "anchor.json"

    @property
    def root_key(self) -> Path:
        """Where a new root key is put, to be taken away."""
        return self.path / "root.pem"

    @property
    def database(self) -> Path:
        """The SQLite database."""
        return self.path / "ostraka.db"

    @property
    def secret(self) -> Path:
        """The key-encryption key."""
        return self.path / "secret.key"

    @property
    def keys(self) -> Path:
        """The directory of sealed private keys."""
        return self.path / "keys"

    @property
    def session(self) -> Path:
        """The command line's login."""
        return self.path / "session.json"

    def require(self, *, database: bool = True) -> None:
        """See that the home was made and finished.

        Args:
            database: whether it holds the database too.

        Raises:
            HomeError: it was not, and with which command it is made.
        """
        wanted = (self.anchor, self.database) if database else (self.anchor,)
        missing = [path.name for path in wanted if not path.exists()]
        if missing:
            raise HomeError(f"{self.path} is not a finished home: {', '.join(missing)} missing; run: ostraka init")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        HomeError: unreadable, too long, or not a JSON object.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_JSON_MAX_BYTES + 1)
    except OSError as error:
        raise HomeError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > _JSON_MAX_BYTES:
        raise HomeError(f"{path} is longer than {_JSON_MAX_BYTES} bytes")
    try:
        return strict_json.loads_object(data)
    except WireError as error:
        raise HomeError(f"{path}: {error}") from error


def write_json(path: Path, value: Mapping[str, Any], *, mode: int = 0o644) -> None:
    """Write ``value`` as readable JSON; the file is replaced whole or not at all.

    Raises:
        HomeError: it cannot be written.
    """
    write_file(path, json.dumps(value, indent=2).encode() + b"\n", mode=mode)


def write_file(path: Path, data: bytes, *, mode: int) -> None:
    """Put ``data`` into ``path``, durably; the file is replaced whole or not at all.

    Raises:
        HomeError: it cannot be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        sync_directory(path.parent)
    except OSError as error:
        raise HomeError(f"cannot write {path}: {error.strerror}") from error
