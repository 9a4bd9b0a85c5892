"""The next root document: the one in force, with changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ostraka_issuer.errors import BadRequest
from ostraka_issuer.limits import ROOT_LIFETIME
from ostraka_schemas.errors import MalformedError
from ostraka_schemas.jwk import VerificationKey
from ostraka_schemas.model import validated
from ostraka_schemas.root import RootDocument


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be different. Nothing is: the document is renewed.

    Attributes:
        new_epoch: cut off everyone, and the key that signed the feed until now with them.
        feed_key: signs the feed from then on, in place of the key or keys before.
        add, remove: root keys; those to remove by kid.
        threshold: how many root keys must sign; by default as before.
        lifetime: seconds from now to the end of document and feed key.
        limits: members of ``limits`` with other values.
    """

    new_epoch: bool = False
    feed_key: VerificationKey | None = None
    add: Sequence[VerificationKey] = ()
    remove: Sequence[str] = ()
    threshold: int | None = None
    lifetime: int = ROOT_LIFETIME
    limits: Mapping[str, object] = field(default_factory=dict)


def next_root(current: RootDocument, changes: Changes, *, now: int) -> RootDocument:
    """The version after ``current``.

    Raises:
        BadRequest: no such key to remove, a key that is there already, or what comes out is no root document.
    """
    end = now + changes.lifetime
    feed_keys = current.feed.keys if changes.feed_key is None else [changes.feed_key.to_jwk()]
    members = {
        **current.model_dump(mode="json"),
        "version": current.version + 1,
        "epoch": current.epoch + changes.new_epoch,
        "iat": now,
        "exp": end,
        "root": {
            "keys": _root_keys(current, changes),
            "threshold": current.root.threshold if changes.threshold is None else changes.threshold,
        },
        "feed": {"keys": feed_keys, "exp": end},
        "limits": {**current.limits.model_dump(mode="json"), **changes.limits},
    }
    try:
        return validated(lambda: RootDocument.model_validate(members), "the next root document")
    except MalformedError as error:
        raise BadRequest(str(error)) from error


def _root_keys(current: RootDocument, changes: Changes) -> list[dict[str, str]]:
    keys = {key.kid: key for key in current.root_keys()}
    for kid in changes.remove:
        if keys.pop(kid, None) is None:
            raise BadRequest(f"{kid} is not one of the root keys")
    for key in changes.add:
        if key.thumbprint in keys:
            raise BadRequest(f"{key.thumbprint} is a root key already")
        # Whoever wrote the file may have named the key otherwise.
        named = VerificationKey.from_jwk(key.jwk, alg=key.alg)
        keys[named.kid] = named
    return [key.to_jwk() for key in keys.values()]
