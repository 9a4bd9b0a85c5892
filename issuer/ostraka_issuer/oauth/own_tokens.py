"""Is this token one of ours, and good now? Judged by the issuer's own verifier, whomever the token is for."""

from dataclasses import dataclass, field

from ostraka_consumers.errors import Malformed, NotReady, VerificationError
from ostraka_consumers.grant import Grant
from ostraka_consumers.memory import Memory
from ostraka_consumers.trust.tokens import GenuineToken, TokenReader
from ostraka_consumers.verifier import Verifier
from ostraka_issuer.errors import NothingYet
from ostraka_issuer.limits import INTROSPECT_WAIT, INTROSPECTED_TOKENS
from ostraka_schemas import base64url, jws, strict_json
from ostraka_schemas.claims import AccessTokenClaims, read_claims
from ostraka_schemas.errors import WireError
from ostraka_schemas.limits import TOKEN_MAX_BYTES
from ostraka_schemas.records import Position


@dataclass(frozen=True, slots=True)
class Judged:
    """A token that is good.

    Attributes:
        position: where the verifier stood in the feed when it said so. A token made from this one must not claim to be
            newer than that.
    """

    grant: Grant
    token: GenuineToken = field(repr=False)
    position: Position

    @property
    def claims(self) -> AccessTokenClaims:
        """What it says."""
        return self.grant.claims


class OwnTokens:
    """Judges access tokens that this issuer signed.

    Args:
        verifier: the issuer's own; its own audience does not matter here.
    """

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier
        self._memory: Memory[GenuineToken] = Memory(INTROSPECTED_TOKENS)

    def said(self, token: str) -> AccessTokenClaims | None:
        """What a token says, whoever signed it; ``None`` if it cannot be read."""
        known = self._memory.get(token)
        if known is not None:
            return known.claims
        try:
            return _unverified(token)
        except Malformed:
            return None

    async def judge(self, token: str) -> Judged:
        """Decide on a token.

        Raises:
            VerificationError: not ours, ended, revoked; ``NotReady`` and ``Stale`` if nobody can tell now.
            NothingYet: it was minted further on than this process has come, and is not waited for any longer.
        """
        genuine = self._read(token)
        fv = genuine.minted.fv
        if fv is not None and not await self._verifier.wait_for(fv, INTROSPECT_WAIT):
            raise NothingYet("the token is newer than what this process knows of the feed; try again")
        judged = self._judge(genuine if self._verifier.core.holds_key_of(genuine) else self._read(token))
        # Only what was accepted is remembered, so nothing that is refused can drive out what is good.
        self._memory.put(token, judged.token)
        return judged

    def _read(self, token: str) -> GenuineToken:
        """The token, if it is genuine. The same bytes need not be read twice while their key is in force."""
        core, known = self._verifier.core, self._memory.get(token)
        if known is not None and core.holds_key_of(known):
            return known
        audiences = frozenset(_unverified(token).audiences)
        return TokenReader(self._verifier.anchor.issuer, audiences).read(token, core.keys)

    def _judge(self, genuine: GenuineToken) -> Judged:
        # Nothing here waits: position and verdict are of one moment.
        core, at = self._verifier.core, self._verifier.clock.now()
        missing = core.why_not_ready(at)
        if missing is not None or core.head is None:
            raise NotReady(missing or "no feed yet")
        now = core.now(at)
        core.check_times(genuine, now)
        core.check_revocation(genuine)
        core.check_staleness(now, core.max_staleness)
        return Judged(Grant(core, genuine), genuine, core.head.position)


def _unverified(token: str) -> AccessTokenClaims:
    try:
        compact = jws.split(token.encode("utf-8", "replace"), max_bytes=TOKEN_MAX_BYTES)
        return read_claims(strict_json.loads_object(base64url.decode(compact.payload)))
    except WireError as error:
        raise Malformed(str(error)) from error


def nobody_can_tell(error: VerificationError) -> bool:
    """Whether a refusal is the verifier's state and not the token's."""
    return error.status >= 500
