"""Several verifiers read the same bytes: what is a pure function of them is worked out once and remembered.

Remembered are the real functions' answers, nothing else; a function that is replaced on purpose is replaced outside.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from unittest.mock import patch

from ostraka_consumers.trust import authentic, roots
from ostraka_schemas import jws, root
from ostraka_schemas.jwk import VerificationKey
from ostraka_schemas.root import RootDocument, verify_first_root, verify_next_root
from ostraka_schemas.snapshots import FeedContent, read_payload

REMEMBERED_MAX: Final = 20_000
"""Answers kept, then all are dropped: some 20 MB."""


class _Answers(dict[Any, Any]):
    def ask(self, key: Any, question: Callable[[], Any]) -> Any:
        answer = self.get(key)
        if answer is None:
            if len(self) >= REMEMBERED_MAX:
                self.clear()
            answer = self[key] = question()
        return answer


@contextmanager
def remembered() -> Iterator[None]:
    """While this lasts, signatures, keys, headers, payloads and root documents are looked at only once."""
    answers = _Answers()
    keys = root._keys
    thumbprint = VerificationKey.__dict__["thumbprint"].fget
    verifies, from_jwk, read_header = VerificationKey.verifies, VerificationKey.from_jwk, jws.read_header

    def verifies_once(self: VerificationKey, signing_input: bytes, signature: bytes) -> bool:
        said: bool = answers.ask(
            (self.alg, self.jwk["x"], signing_input, signature), lambda: verifies(self, signing_input, signature)
        )
        return said

    def from_jwk_once(jwk: Mapping[str, Any], *, alg: str | None = None) -> VerificationKey:
        made: VerificationKey = answers.ask((alg, *jwk.items()), lambda: from_jwk(jwk, alg=alg))
        return made

    def thumbprint_once(self: VerificationKey) -> str:
        name: str = answers.ask(("thumbprint", self.jwk["x"]), lambda: thumbprint(self))
        return name

    def read_once(payload: bytes) -> FeedContent:
        read: FeedContent = answers.ask(payload, lambda: read_payload(payload))
        return read

    def read_header_once(segment: bytes, *, typ: str) -> jws.Header:
        header: jws.Header = answers.ask((segment, typ), lambda: read_header(segment, typ=typ))
        return header

    def first_root_once(value: Any, *, trusted: Collection[str], threshold: int) -> RootDocument:
        document: RootDocument = answers.ask(
            ("first root", repr(value), threshold, *trusted),
            lambda: verify_first_root(value, trusted=trusted, threshold=threshold),
        )
        return document

    def next_root_once(value: Any, current: RootDocument) -> RootDocument:
        document: RootDocument = answers.ask(
            ("next root", repr(value), repr(current)), lambda: verify_next_root(value, current)
        )
        return document

    def keys_once(jwks: Iterable[dict[str, str]]) -> tuple[VerificationKey, ...]:
        named = tuple(jwks)
        made: tuple[VerificationKey, ...] = answers.ask(
            ("keys", *(jwk.get("x") for jwk in named), *(jwk.get("kid") for jwk in named)), lambda: keys(named)
        )
        return made

    with (
        patch.object(VerificationKey, "verifies", verifies_once),
        patch.object(VerificationKey, "from_jwk", from_jwk_once),
        patch.object(VerificationKey, "thumbprint", property(thumbprint_once)),
        patch.object(authentic, "read_payload", read_once),
        patch.object(root, "_keys", keys_once),
        patch.object(jws, "read_header", read_header_once),
        patch.object(roots, "verify_first_root", first_root_once),
        patch.object(roots, "verify_next_root", next_root_once),
    ):
        yield
