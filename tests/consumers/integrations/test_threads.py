"""A verifier that owns a thread: its life, many threads that ask, and processes that fork."""

import asyncio
import multiprocessing
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ostraka_consumers import (
    ConfigurationError,
    NotReady,
    PermissionDenied,
    Revoked,
    SourceError,
    VerificationError,
    WrongIssuer,
)
from ostraka_consumers.integrations.threads import MultiIssuerThreadVerifier, ThreadVerifier, answer_to
from ostraka_consumers.sources.base import FeedSink
from tests.support.fake_issuer import FakeIssuer
from tests.support.several import Twins, token_of
from tests.support.verifiers import ListSource

from .contract.threaded import ThreadStand


@pytest.fixture
def issuer() -> FakeIssuer:
    return FakeIssuer()


@pytest.fixture
def verifier(issuer: FakeIssuer) -> Iterator[ThreadStand]:
    stand = ThreadStand(issuer)
    stand.start()
    yield stand
    ThreadVerifier.stop(stand)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "ostraka verifier"]


def test_it_lives_from_start_to_stop_and_may_live_again(issuer: FakeIssuer) -> None:
    issuer.open()

    class Fresh:
        name = "fresh"

        async def run(self, sink: FeedSink) -> None:
            issuer.clock.advance(1)
            await ListSource([*issuer.records, issuer.heartbeat()]).run(sink)

    verifier = ThreadVerifier(issuer.anchor, audience="orders", sources=[Fresh()], clock=issuer.clock, ready_timeout=5)
    token = issuer.token()
    with pytest.raises(NotReady):
        verifier.verify(token)
    for _ in range(2):
        with verifier:
            assert threads() == ["ostraka verifier"]
            assert verifier.verify(token).subject == "alice"
            assert verifier.status.ready
            with pytest.raises(ConfigurationError, match="running already"):
                verifier.start()
        assert threads() == []
        with pytest.raises(NotReady):
            verifier.verify(token)
    verifier.stop()


def test_a_start_that_fails_says_why_and_leaves_no_thread(issuer: FakeIssuer) -> None:
    class Useless:
        name = "useless"

        async def run(self, sink: FeedSink) -> None:
            raise SourceError("it can never work")

    sources: list[tuple[Any, type[Exception], str]] = [
        (Useless(), SourceError, "never work"),
        (ListSource([]), NotReady, "not ready after"),
    ]
    for source, kind, words in sources:
        verifier = ThreadVerifier(issuer.anchor, audience="orders", sources=[source], ready_timeout=0.05)
        with pytest.raises(kind, match=words):
            verifier.start()
        assert threads() == []


def test_a_start_that_waits_can_be_stopped_from_another_thread(issuer: FakeIssuer) -> None:
    reading = threading.Event()

    class Silent(ListSource):
        async def run(self, sink: FeedSink) -> None:
            reading.set()
            await super().run(sink)

    verifier = ThreadVerifier(issuer.anchor, audience="orders", sources=[Silent([])], ready_timeout=60)
    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(verifier.start)
        assert reading.wait(10)
        verifier.stop()
        with pytest.raises(NotReady, match="stopped before"):
            starting.result(10)
    assert threads() == []


def test_many_threads_ask_while_the_feed_goes_on(issuer: FakeIssuer, verifier: ThreadStand) -> None:
    good, dead = issuer.token(sub="bob"), issuer.token(sub="mallory")
    done = threading.Event()
    wrong: list[object] = []

    def ask() -> int:
        count = refused = 0
        while not done.is_set() or not refused:
            fresh = issuer.token(sub="bob") if count % 50 == 0 else good
            try:
                verifier.verify(fresh).require("orders:create")
            except VerificationError as error:
                wrong.append(error)
                return refused
            try:
                verifier.verify(dead)
            except Revoked:
                refused += 1
            else:
                if refused:
                    wrong.append("a token came back to life")
            count += 1
        return refused

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask) for _ in range(4)]
        for number in range(200):
            verifier.deliver(issuer.cut_subject("mallory" if number == 20 else f"other-{number}"))
            verifier.deliver(issuer.revoke_permission(f"reports-{number}:read"))
        verifier.deliver(issuer.heartbeat())
        done.set()
        assert all(future.result(30) for future in asking)
    assert wrong == []


def test_the_end_of_a_grant_reaches_any_thread(issuer: FakeIssuer, verifier: ThreadStand) -> None:
    grant = verifier.verify(issuer.token())
    revoked, narrowed = verifier.ending(grant), verifier.ending(grant, "orders:create")
    verifier.deliver(issuer.revoke_permission("orders:create"))
    assert narrowed.result(10).reason == "permission_denied"
    assert not revoked.done()
    verifier.deliver(issuer.cut_subject("alice"))
    assert revoked.result(10).reason == "revoked"
    ThreadVerifier.stop(verifier)
    with pytest.raises(NotReady):
        verifier.ending(grant)


def test_a_header_that_is_one_or_several(issuer: FakeIssuer, verifier: ThreadStand) -> None:
    value = f"Bearer {issuer.token()}"
    for given in (value, [value]):
        assert verifier.authorize(given, requires="orders:create").subject == "alice"
    with pytest.raises(PermissionDenied):
        verifier.authorize(value, requires=["orders:create", "reports:read"])
    nothing: list[Any] = [None, [], ""]
    for missing in nothing:
        with pytest.raises(VerificationError) as refused:
            verifier.authorize(missing)
        answer = answer_to(refused.value)
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert b'"no_token"' in answer.body
        assert int(answer.headers["Content-Length"]) == len(answer.body)


def _in_the_child(verifier: ThreadVerifier, token: str, said: Any) -> None:
    asked: list[Any] = [lambda: verifier.verify(token), verifier.start]
    for ask in asked:
        try:
            ask()
        except ConfigurationError as error:
            said.put(str(error))
        else:
            said.put("no error")
    ThreadVerifier.stop(verifier)


# Python 3.12 and later warn of the very thing that is tried here.
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_after_a_fork_it_refuses_to_decide(issuer: FakeIssuer, verifier: ThreadStand) -> None:
    token = issuer.token()
    verifier.verify(token)
    context = multiprocessing.get_context("fork")
    said = context.Queue()
    child = context.Process(target=_in_the_child, args=(verifier, token, said), daemon=True)
    child.start()
    try:
        for _ in range(2):
            assert "before the process was forked" in said.get(timeout=30)
        child.join(30)
        assert child.exitcode == 0
    finally:
        child.kill()
        child.join()
    assert verifier.verify(token).subject == "alice"


async def test_it_starts_beside_a_running_loop(issuer: FakeIssuer) -> None:
    stand = ThreadStand(issuer)
    await asyncio.to_thread(stand.start)
    try:
        assert stand.verify(issuer.token()).subject == "alice"
    finally:
        await stand.stop()


def several(twins: Twins, **settings: Any) -> MultiIssuerThreadVerifier:
    inner = [
        ThreadVerifier(issuer.anchor, audience="orders", sources=[issuer.source()], clock=issuer.clock, ready_timeout=5)
        for issuer in twins.trusted
    ]
    return MultiIssuerThreadVerifier(inner, **settings)


def test_several_issuers_live_on_one_thread() -> None:
    twins = Twins()
    verifier = several(twins)
    with verifier:
        assert threads() == ["ostraka verifier"]
        for issuer in twins.trusted:
            assert verifier.authorize(f"Bearer {token_of(issuer)}", requires="orders:create").issuer == issuer.issuer
        with pytest.raises(WrongIssuer):
            verifier.verify(token_of(twins.stranger))
        ending = verifier.ending(verifier.verify(token_of(twins.partner)))
        twins.partner.cut_everyone()
        assert ending.result(10).reason == "revoked"
        with pytest.raises(Revoked):
            verifier.verify(token_of(twins.partner))
        assert verifier.verify(token_of(twins.ours)).issuer == twins.ours.issuer
        assert verifier.status.ready
    assert threads() == []
    assert not verifier.status.ready


def test_many_threads_ask_about_tokens_of_several_issuers() -> None:
    twins = Twins()
    with several(twins) as verifier, ThreadPoolExecutor(8) as pool:
        tokens = [(issuer, token_of(issuer, jti=f"j{n}")) for n in range(50) for issuer in twins.trusted]

        def ask(_: int) -> set[bool]:
            return {verifier.verify(token).issuer == issuer.issuer for issuer, token in tokens}

        assert list(pool.map(ask, range(8))) == [{True}] * 8
        assert sum(status.remembered for status in verifier.status.issuers.values()) == len(tokens)


def test_one_issuer_that_is_away_keeps_the_others_from_nothing_if_the_owner_says_so() -> None:
    twins = Twins()
    twins.partner.go_silent()
    inner = [
        ThreadVerifier(
            issuer.anchor, audience="orders", sources=[issuer.source()], clock=issuer.clock, ready_timeout=0.05
        )
        for issuer in twins.trusted
    ]
    with MultiIssuerThreadVerifier(inner, needs="any") as verifier:
        assert verifier.verify(token_of(twins.ours)).issuer == twins.ours.issuer
        with pytest.raises(NotReady):
            verifier.verify(token_of(twins.partner))
