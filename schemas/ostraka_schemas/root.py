"""The root document: which keys may sign the feed, and within what limits (after TUF's root role, §4.3 and §5.3).

It travels as a JWS in general JSON form, signed by the offline root keys, ``m`` of ``n``. A verifier is deployed with
thumbprints of root keys only; the keys come with the document and are taken if their thumbprints are trusted. From the
first version it walks to the newest, one by one: version N+1 is signed by the thresholds of N and of N+1.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any, Final

from pydantic import Field, model_validator

from . import base64url, jws, strict_json
from .errors import MalformedError, SignatureMismatch, WireError
from .jwk import Algorithm, SigningKey, VerificationKey
from .limits import (
    FEED_KEYS_MAX,
    HEARTBEAT_INTERVAL,
    MAX_STALENESS,
    ROOT_KEYS_MAX,
    ROOT_MAX_BYTES,
    ROOT_SIGNATURES_MAX,
    ROOT_WIRE_MAX_BYTES,
    TOKEN_KEY_LIFETIME_MAX,
    TOKEN_KEYS_MAX,
    TOKEN_LIFETIME_MAX,
)
from .model import Count, Identifier, NumericDate, Text, WireModel, validated

FEED_ALGORITHM: Final[Algorithm] = "EdDSA"


def _keys(jwks: Iterable[dict[str, str]]) -> tuple[VerificationKey, ...]:
    try:
        keys = tuple(VerificationKey.from_jwk(jwk, alg=FEED_ALGORITHM) for jwk in jwks)
    except WireError as error:
        raise ValueError(str(error)) from error
    if any(key.kid != key.thumbprint for key in keys):
        raise ValueError("the kid of a root or feed key is its thumbprint")
    if len({key.kid for key in keys}) != len(keys):
        raise ValueError("the same key twice")
    return keys


def _es256() -> list[Algorithm]:
    return ["ES256"]


class RootRole(WireModel):
    """The root keys and how many of them must sign."""

    keys: Annotated[list[dict[str, Text]], Field(min_length=1, max_length=ROOT_KEYS_MAX)]
    threshold: Count

    @model_validator(mode="after")
    def _reachable(self) -> "RootRole":
        if self.threshold > len(_keys(self.keys)):
            raise ValueError("the threshold is larger than the number of keys")
        return self


class FeedRole(WireModel):
    """The feed keys, and until when they may sign."""

    keys: Annotated[list[dict[str, Text]], Field(min_length=1, max_length=FEED_KEYS_MAX)]
    exp: NumericDate

    @model_validator(mode="after")
    def _importable(self) -> "FeedRole":
        _keys(self.keys)
        return self


class Limits(WireModel):
    """What a stolen feed key cannot exceed. Times are seconds.

    Attributes:
        late: for how long after a token's end its revocation is kept and its key known, for events handled late.
    """

    token_algorithms: Annotated[list[Algorithm], Field(min_length=1)] = Field(default_factory=_es256)
    token_keys: Annotated[int, Field(ge=1, le=TOKEN_KEYS_MAX)] = TOKEN_KEYS_MAX
    token_key_lifetime: Annotated[int, Field(ge=1, le=TOKEN_KEY_LIFETIME_MAX)] = TOKEN_KEY_LIFETIME_MAX
    token_lifetime: Annotated[int, Field(ge=1, le=TOKEN_LIFETIME_MAX)] = TOKEN_LIFETIME_MAX
    heartbeat_interval: Annotated[int, Field(ge=1, le=MAX_STALENESS)] = HEARTBEAT_INTERVAL
    max_staleness: Annotated[int, Field(ge=1, le=3_600)] = MAX_STALENESS
    late: Annotated[int, Field(ge=0, le=30 * 24 * 3_600)] = 0


class RootDocument(WireModel):
    """The signed content. Versions chain N to N+1; only a root document changes the epoch or names a feed key."""

    iss: Identifier
    version: Count
    epoch: Count
    iat: NumericDate
    exp: NumericDate
    root: RootRole
    feed: FeedRole
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _separate(self) -> "RootDocument":
        if {key.kid for key in self.root_keys()} & {key.kid for key in self.feed_keys()}:
            raise ValueError("a key signs either root documents or the feed, never both")
        if self.exp <= self.iat:
            raise ValueError("exp must be after iat")
        return self

    def root_keys(self) -> tuple[VerificationKey, ...]:
        """The root keys of this version."""
        return _keys(self.root.keys)

    def feed_keys(self) -> tuple[VerificationKey, ...]:
        """The keys that may sign the feed under this version."""
        return _keys(self.feed.keys)


def root_bytes(value: Mapping[str, Any]) -> bytes:
    """The bytes in which a signed document travels, everywhere the same: payload, then signatures, in their order."""
    return strict_json.dumps({"payload": value["payload"], "signatures": value["signatures"]})


def read_root_bytes(raw: bytes) -> dict[str, Any]:
    """The general JWS in ``raw``. Whether it is one, and who signed it, is asked afterwards.

    Raises:
        MalformedError: too long, or not a JSON object.
    """
    if len(raw) > ROOT_WIRE_MAX_BYTES:
        raise MalformedError(f"a signed root document has at most {ROOT_WIRE_MAX_BYTES} bytes")
    return strict_json.loads_object(raw)


def draft_root(document: RootDocument) -> dict[str, Any]:
    """The document as general JWS that nobody has signed yet."""
    return sign_root(document, [])


def sign_root(document: RootDocument, keys: Iterable[SigningKey]) -> dict[str, Any]:
    """Sign ``document`` with each of ``keys``; the result is a general JWS, ready to be written as JSON."""
    return jws.sign_general(strict_json.dumps(document.model_dump(mode="json")), keys, typ=jws.TYP_ROOT)


def with_signature(value: Mapping[str, Any], key: SigningKey) -> dict[str, Any]:
    """Add the signature of ``key`` to a draft or to a document that others have signed; its own is made anew.

    Raises:
        MalformedError: not a root document.
    """
    payload = _read_draft(value)
    added = jws.sign_general(payload, [key], typ=jws.TYP_ROOT)
    others = [entry for entry in value["signatures"] if entry["protected"] != added["signatures"][0]["protected"]]
    return {**added, "signatures": [*others, *added["signatures"]]}


def signers(value: Any, keys: Iterable[VerificationKey]) -> tuple[str, ...]:
    """The kids of those ``keys`` whose valid signature a document bears; none for a draft.

    Raises:
        MalformedError: not a root document.
    """
    if not value["signatures"]:
        _read_draft(value)
        return ()
    signed = _read(value)
    return tuple(key.kid for key in keys if jws.count_valid(signed, {key.kid: key}.get))


def verify_first_root(value: Any, *, trusted: Collection[str], threshold: int = 1) -> RootDocument:
    """Verify the root document that a trust anchor leads to.

    It must be signed by its own threshold and by ``threshold`` keys, counting only those whose thumbprints are in
    ``trusted``: a document that was made by one thief asks for no more than one signature.

    Raises:
        MalformedError: not a root document.
        SignatureMismatch: fewer valid signatures of trusted keys than the threshold asks for.
    """
    signed = _read(value)
    document = _document(signed.payload)
    keys = [key for key in document.root_keys() if key.thumbprint in trusted]
    _meet(signed, max(threshold, document.root.threshold), keys, "trusted")
    return document


def verify_next_root(value: Any, current: RootDocument) -> RootDocument:
    """Verify the version that follows ``current`` (TUF specification §5.3.4 to §5.3.5).

    It must be signed by the threshold of the current version and by its own, be of the same issuer, and its version
    exactly the next. The epoch stays or grows by one. Whether it has expired is asked where it is used: a chain is
    walked through versions that ended long ago.

    Raises:
        MalformedError: not a root document, or not the one that follows.
        SignatureMismatch: one of the two thresholds is not met.
    """
    signed = _read(value)
    # First, and before the content is read: strangers can send as many documents as they like, but not sign them.
    _meet(signed, current.root.threshold, current.root_keys(), f"version {current.version}'s")
    document = _document(signed.payload)
    if document.version != current.version + 1:
        raise MalformedError(f"version {document.version} does not follow version {current.version}")
    if document.iss != current.iss:
        raise MalformedError("a root document of another issuer")
    if document.epoch not in (current.epoch, current.epoch + 1):
        raise MalformedError(f"epoch {document.epoch} does not follow epoch {current.epoch}")
    _meet(signed, document.root.threshold, document.root_keys(), "its own")
    return document


def version_unverified(value: Any) -> int:
    """The version that a root document claims to be, and no more of it than that.

    Raises:
        MalformedError: not a signed document, or one without a version.
    """
    version = strict_json.loads_object(_read(value).payload).get("version")
    if not isinstance(version, int) or isinstance(version, bool):
        raise MalformedError("a root document has a version")
    return version


def read_root_unverified(value: Any) -> RootDocument:
    """Read a root document or a draft without verifying it, to show it to a person or to sign it.

    Raises:
        MalformedError: not a root document.
    """
    if isinstance(value, dict) and value.get("signatures") == []:
        return _document(_read_draft(value))
    return _document(_read(value).payload)


def _read(value: Any) -> jws.GeneralJws:
    return jws.read_general(value, typ=jws.TYP_ROOT, max_bytes=ROOT_MAX_BYTES, max_signatures=ROOT_SIGNATURES_MAX)


def _read_draft(value: Any) -> bytes:
    if not isinstance(value, dict) or value.keys() != {"payload", "signatures"}:
        raise MalformedError("a signed document has exactly payload and signatures")
    if value["signatures"]:
        return _read(value).payload
    if not isinstance(value["payload"], str) or len(value["payload"]) > ROOT_MAX_BYTES:
        raise MalformedError(f"the payload of a root document is text of at most {ROOT_MAX_BYTES} bytes")
    return base64url.decode_text(value["payload"])


def _document(payload: bytes) -> RootDocument:
    members = strict_json.loads_object(payload)
    return validated(lambda: RootDocument.model_validate(members), "root document")


def _meet(signed: jws.GeneralJws, threshold: int, keys: Iterable[VerificationKey], whose: str) -> None:
    valid = jws.count_valid(signed, {key.kid: key for key in keys}.get)
    if valid < threshold:
        raise SignatureMismatch(f"the root document has {valid} signatures of {whose} keys, {threshold} are needed")
