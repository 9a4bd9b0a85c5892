"""Why a token is accepted or refused, step by step, for people. The steps are those of ``Verifier.verify``."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from .errors import NotReady, PermissionDenied, VerificationError
from .grant import Grant
from .issuers import MultiIssuerVerifier
from .trust.tokens import GenuineToken, TokenReader, usable_key
from .verifier import Verifier

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Step:
    """One question and its answer."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """The questions asked, the first refusal last. ``grant`` is there if none was refused, else ``error``."""

    steps: tuple[Step, ...]
    grant: Grant | None
    error: VerificationError | None


def explain(
    verifier: Verifier | MultiIssuerVerifier, token: str | bytes, *, require: tuple[str, ...] = ()
) -> Explanation:
    """Ask every question about ``token`` in order, and stop at the first refusal.

    Args:
        verifier: of one issuer; or of several, and then the first question is which of them judges.
        require: permissions to ask for at the end.
    """
    if isinstance(verifier, MultiIssuerVerifier):
        return _by_issuer(verifier, token, require)
    asked = _Asked(verifier, verifier.reader)
    error: VerificationError | None = None
    try:
        grant = asked.all(token, require)
    except VerificationError as refusal:
        error, grant = refusal, None
        asked.steps.append(Step(asked.asking, passed=False, detail=f"{refusal.code}: {refusal}"))
    return Explanation(tuple(asked.steps), grant, error)


def _by_issuer(verifier: MultiIssuerVerifier, token: str | bytes, require: tuple[str, ...]) -> Explanation:
    try:
        judge = verifier.judge_of(token)
    except VerificationError as refusal:
        return Explanation((Step("issuer", passed=False, detail=f"{refusal.code}: {refusal}"),), None, refusal)
    rest = explain(judge, token, require=require)
    claimed = Step("issuer", passed=True, detail=f"says to be from {judge.anchor.issuer}, whose verifier judges")
    return Explanation((claimed, *rest.steps), rest.grant, rest.error)


class _Asked:
    def __init__(self, verifier: Verifier, reader: TokenReader) -> None:
        self.steps: list[Step] = []
        self.asking = "ready"
        self._verifier = verifier
        self._core = verifier.core
        self._reader = reader

    def all(self, token: str | bytes, require: tuple[str, ...]) -> Grant:
        self._ask("ready", self._ready, lambda _: f"at feed position {self._core.head}")
        compact, header = self._ask("shape", lambda: self._reader.shape(token), lambda _: "a JWS with typ at+jwt")
        trusted = self._ask(
            "key", lambda: usable_key(self._core.keys.get(header.kid)), lambda k: f"{header.kid} is {k.state}"
        )
        self._ask(
            "signature", lambda: self._reader.signature(compact, header, trusted), lambda _: f"{header.alg}, fits"
        )
        genuine = self._ask("claims", lambda: self._reader.content(compact, trusted), _about)
        now = self._core.now(self._verifier.clock.now())
        self._ask(
            "times", lambda: self._core.check_times(genuine, now), lambda _: f"ends in {genuine.claims.exp - now:.0f} s"
        )
        self._ask(
            "revocation", lambda: self._core.check_revocation(genuine), lambda _: "no deny-list entry, no cut-off"
        )
        grant = Grant(self._core, genuine)
        for permission in require:
            self._ask(f"permission {permission}", partial(self._permission, grant, permission), lambda _: "carried")
        self._ask("freshness", lambda: self._core.check_staleness(now, float("inf")), lambda _: self._fresh())
        return grant

    def _ask(self, name: str, question: Callable[[], T], detail: Callable[[T], str]) -> T:
        self.asking = name
        answer = question()
        self.steps.append(Step(name, passed=True, detail=detail(answer)))
        return answer

    def _ready(self) -> None:
        status = self._verifier.status
        if not status.ready:
            raise NotReady(status.waiting_for or "the verifier is not running")

    def _permission(self, grant: Grant, permission: str) -> None:
        if not grant.allows(permission):
            raise PermissionDenied("not carried by the token, or taken away since")

    def _fresh(self) -> str:
        status = self._verifier.status
        return f"{status.freshness.value}, last vouched for {status.age or 0:.1f} s ago"


def _about(token: GenuineToken) -> str:
    claims = token.claims
    minted = _date(claims.iat)
    where = "no feed position" if token.minted.fv is None else f"feed position {token.minted.fv}"
    return f"sub {claims.sub}, client {claims.client_id}, minted {minted} at {where}"


def _date(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return f"{seconds} s"  # after the last year that calendars here can write
