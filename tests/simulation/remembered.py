"""Several verifiers read the same bytes: what is a pure function of them is worked out once and remembered.

Remembered are the real functions' answers, nothing else; a function that is replaced on purpose is replaced outside.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from unittest.mock import patch

from ostraka_consumers.trust import authentic
from ostraka_schemas.jwk import VerificationKey
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
    """While this lasts, signatures, public keys and payloads that were looked at before are not looked at again."""
    answers = _Answers()
    thumbprint = VerificationKey.__dict__["thumbprint"].fget
    verifies, from_jwk = VerificationKey.verifies, VerificationKey.from_jwk

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

    with (
        patch.object(VerificationKey, "verifies", verifies_once),
        patch.object(VerificationKey, "from_jwk", from_jwk_once),
        patch.object(VerificationKey, "thumbprint", property(thumbprint_once)),
        patch.object(authentic, "read_payload", read_once),
    ):
        yield
