"""A verifier that follows a feed, and everything that was ever rightly signed for it."""

from collections.abc import Iterator
from random import Random

from ostraka_consumers import VerificationError
from ostraka_consumers.trust.receipt import Outcome, Receipt
from ostraka_schemas import strict_json
from ostraka_schemas.events import IssuerCutoff
from ostraka_schemas.records import Head, Position
from ostraka_schemas.snapshots import SnapshotState
from tests.fuzzing import keys
from tests.fuzzing.documents import Documents
from tests.fuzzing.envelopes import Signed
from tests.fuzzing.kept import State, altered_promises, signed_promises
from tests.fuzzing.mutants import Mutant, mutant
from tests.fuzzing.odd_records import OddRecords
from tests.fuzzing.verdicts import timed
from tests.properties.feeds import hand_fed
from tests.support.fake_issuer import FakeIssuer

SIGNED_SHARE = 0.4
DOCUMENT_SHARE = 0.1


class RecordTarget:
    """One verifier. Not ``opened``, it has no root document yet."""

    def __init__(self, chance: Random, *, opened: bool) -> None:
        issuer = FakeIssuer(root_key=keys.ROOT, feed_key=keys.FEED)
        self.issuer, self.opened, self._chance = issuer, opened, chance
        issuer.token_key = keys.TOKEN_KEYS[0]
        issuer.open()
        self.dead = [issuer.token(jti="dead"), issuer.token(sub="mallory"), issuer.token(client_id="cron")]
        issuer.revoke_token("dead", issuer.now + 300)
        issuer.cut_subject("mallory")
        issuer.cut_client("cron")
        issuer.keep_only("bob", "orders:read")
        feed = [*issuer.records, issuer.heartbeat()]
        following = issuer.cut_everyone()
        later = [issuer.heartbeat(), issuer.heartbeat(iat=issuer.now + 5), *self._parts()]
        self.known = frozenset([*feed, following, *later])
        self.originals = tuple(Signed.of(raw, keys.FEED) for raw in [*feed, following, *later])
        self.documents = Documents(chance, issuer)
        self.odd = OddRecords(chance, issuer, self._head, self.documents)
        self.verifier = hand_fed(issuer, *(feed if opened else ()))
        self._feed = feed

    def _head(self) -> Head:
        head = self.verifier.core.head
        assert head is not None
        return head

    def _parts(self) -> list[bytes]:
        state = SnapshotState(latest_iat=self.issuer.now)
        head = Head(Position(1, 20), bytes(32))
        return [self.issuer.snapshot_part(state, number, 2, head=head) for number in (1, 2)]

    def next(self) -> Mutant:
        """The next case."""
        lot = self._chance.random()
        if self.opened and lot < SIGNED_SHARE:
            return self.odd.next()
        if lot < SIGNED_SHARE + DOCUMENT_SHARE:
            made = self.documents.altered()
            return made if made.raw != self.documents.raw else self.next()
        return mutant(self._chance, self.originals, self.known)

    def broken_promises(self, made: Mutant, receipt: Receipt, before: State, after: State) -> Iterator[str]:
        """In words, what should not have become of a case."""
        if made.how.startswith("signed_"):
            if after["root"] == before["root"]:
                yield from signed_promises(receipt, before, after)
        elif receipt.outcome is Outcome.ROOT and self._is_as_signed(made.raw):
            return  # white space and the order of members are not signed
        else:
            yield from altered_promises(receipt, before, after)

    def _is_as_signed(self, raw: bytes) -> bool:
        return bool(strict_json.loads_object(raw)["payload"] == self.documents.next_["payload"])

    @property
    def is_spent(self) -> bool:
        """Whether a new root document is in force: what comes after it is signed by keys that are none any more."""
        return self.verifier.core.root_version > 1

    def problems(self) -> Iterator[str]:
        """What no longer is as it must be."""
        for token in self.dead:
            end, _ = timed(lambda: self.verifier.verify(token))  # noqa: B023 - called at once
            if not isinstance(end, VerificationError):
                yield f"a dead token is not refused: {end!r}"

    def epilogue(self) -> Iterator[str]:
        """Whether it still listens, after all that was said."""
        late = self.issuer.token(fv=[1, 2])
        for raw in () if self.opened else self._feed:
            self.verifier.deliver(raw)
        position, hash_ = self._head()
        last = self.issuer.sign(IssuerCutoff(), seq=position.seq + 1, prev=hash_)
        if not self.is_spent and self.verifier.deliver(last).outcome is not Outcome.APPLIED:
            yield "the next good record is not applied"
        end, _ = timed(lambda: self.verifier.verify(late))
        if not self.is_spent and not isinstance(end, VerificationError):
            yield f"after a cut-off for everyone a token is not refused: {end!r}"
        yield from self.problems()
