"""The trust anchor: what a verifier is deployed with, and the only thing it believes without a signature."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from ostraka_schemas import strict_json
from ostraka_schemas.errors import MalformedError
from ostraka_schemas.limits import ROOT_KEYS_MAX
from ostraka_schemas.model import Identifier, Sha256, WireModel, validated
from ostraka_schemas.records import Position

from .errors import ConfigurationError

FIRST: Final = Position(1, 0)


class _AnchorFile(WireModel):
    issuer: Identifier
    root_thumbprints: Annotated[list[Sha256], Field(min_length=1, max_length=ROOT_KEYS_MAX)]
    root_threshold: Annotated[int, Field(ge=1, le=ROOT_KEYS_MAX)] = 1
    minimum: Annotated[tuple[int, int], Field(strict=False)] = FIRST


@dataclass(frozen=True, slots=True)
class TrustAnchor:
    """Whom to believe.

    Attributes:
        issuer: the issuer's identifier, compared with ``iss`` character by character (RFC 9207 §2.4).
        root_thumbprints: RFC 7638 thumbprints of the root keys that may sign the root document.
        root_threshold: how many of them must have signed it, whatever the document itself asks for.
        minimum: a feed position that must be reached before anything is decided; an old copy of the feed is not enough.
    """

    issuer: str
    root_thumbprints: tuple[str, ...]
    minimum: Position = FIRST
    root_threshold: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.root_threshold <= len(set(self.root_thumbprints)):
            raise ConfigurationError(
                f"a trust anchor with {len(set(self.root_thumbprints))} root keys cannot ask for {self.root_threshold}"
            )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "TrustAnchor":
        """Read the file that ``ostraka init`` wrote.

        Raises:
            ConfigurationError: the file cannot be read or is not a trust anchor.
        """
        try:
            raw = Path(path).read_bytes()
        except OSError as error:
            raise ConfigurationError(f"cannot read the trust anchor {os.fspath(path)}: {error.strerror}") from error
        except ValueError as error:
            raise ConfigurationError("cannot read the trust anchor: not a path") from error
        try:
            members = strict_json.loads_object(raw)
            content = validated(lambda: _AnchorFile.model_validate(members), "trust anchor")
        except MalformedError as error:
            raise ConfigurationError(f"{os.fspath(path)} is not a trust anchor: {error}") from error
        return cls(content.issuer, tuple(content.root_thumbprints), Position(*content.minimum), content.root_threshold)

    def to_json(self) -> bytes:
        """The content of an anchor file."""
        return strict_json.dumps(
            {
                "issuer": self.issuer,
                "root_thumbprints": list(self.root_thumbprints),
                "root_threshold": self.root_threshold,
                "minimum": list(self.minimum),
            }
        )
