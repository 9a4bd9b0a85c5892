"""Is this token one of ours, and good now? Judged by the issuer's own verifier, whomever the token is for."""

from dataclasses import dataclass

from ostraka_consumers.errors import Malformed, NotReady, VerificationError
from ostraka_consumers.grant import Grant
from ostraka_consumers.trust.tokens import TokenReader
from ostraka_consumers.verifier import Verifier
from ostraka_issuer.errors import NothingYet
from ostraka_issuer.limits import INTROSPECT_WAIT
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

    async def judge(self, token: str) -> Judged:
        """Decide on a token.

        Raises:
            VerificationError: not ours, ended, revoked; ``NotReady`` and ``Stale`` if nobody can tell now.
            NothingYet: it was minted further on than this process has come, and is not waited for any longer.
        """
        claims = _unverified(token)
        reader = TokenReader(self._verifier.anchor.issuer, frozenset(claims.audiences))
        genuine = reader.read(token, self._verifier.core.keys)
        fv = genuine.minted.fv
        if fv is not None and not await self._verifier.wait_for(fv, INTROSPECT_WAIT):
            raise NothingYet("the token is newer than what this process knows of the feed; try again")
        return self._judge(reader, token)

    def _judge(self, reader: TokenReader, token: str) -> Judged:
        # Nothing here waits: position and verdict are of one moment.
        core, at = self._verifier.core, self._verifier.clock.now()
        missing = core.why_not_ready(at)
        if missing is not None or core.head is None:
            raise NotReady(missing or "no feed yet")
        now = core.now(at)
        genuine = reader.read(token, core.keys)
        core.check_times(genuine, now)
        core.check_revocation(genuine)
        core.check_staleness(now, core.max_staleness)
        return Judged(Grant(core, genuine), core.head.position)


def _unverified(token: str) -> AccessTokenClaims:
    try:
        compact = jws.split(token.encode("utf-8", "replace"), max_bytes=TOKEN_MAX_BYTES)
        return read_claims(strict_json.loads_object(base64url.decode(compact.payload)))
    except WireError as error:
        raise Malformed(str(error)) from error


def nobody_can_tell(error: VerificationError) -> bool:
    """Whether a refusal is the verifier's state and not the token's."""
    return error.status >= 500
