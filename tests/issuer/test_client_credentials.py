import json
from typing import Any

import pytest
from sqlalchemy import insert

from ostraka_issuer.accounts.client_keys import check_key_set, read_key_set
from ostraka_issuer.accounts.client_secret import hash_secret, new_secret, secret_fits
from ostraka_issuer.accounts.clients import find_client
from ostraka_issuer.accounts.holdings import client_permissions_of, permissions_of
from ostraka_issuer.errors import BadRequest, NotFound
from ostraka_issuer.store.tables import CLIENT_PERMISSIONS, CLIENTS, ROLE_PERMISSIONS, ROLES, USER_ROLES
from ostraka_schemas.jwk import SigningKey
from tests.issuer.world import World

KEYS = [SigningKey.generate("ES256") for _ in range(9)]
# RFC 7515 appendix A.3.1: a private key that everybody knows.
PRIVATE = {
    "kty": "EC",
    "crv": "P-256",
    "alg": "ES256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
}


def jwks(*keys: SigningKey) -> dict[str, Any]:
    return {"keys": [key.public.to_jwk() for key in keys]}


def test_a_secret_has_256_bits_and_only_its_hash_is_needed() -> None:
    secret = new_secret(lambda size: b"\xfb" * size)
    assert len(secret) == 43
    assert secret_fits(hash_secret(secret), secret)
    assert secret not in repr(hash_secret(secret))


@pytest.mark.parametrize("wrong", ["", "x", "x" * 43, "x" * 100_000, "\ud800", "é"])
def test_another_secret_does_not_fit(wrong: str) -> None:
    secret = new_secret(lambda size: b"\x01" * size)
    assert not secret_fits(hash_secret(secret), wrong)
    assert not secret_fits(None, wrong)


def test_what_is_longer_than_a_secret_can_be_never_fits() -> None:
    """Only its beginning is hashed, so the beginning must not be enough."""
    assert not secret_fits(hash_secret("x" * 129), "x" * 129)
    assert not secret_fits(hash_secret("x" * 129), "x" * 130)


def test_no_secret_at_all_fits_a_client_without_one() -> None:
    assert not secret_fits(None, "")


def test_public_keys_are_kept_as_they_are_verified_with() -> None:
    kept = check_key_set(jwks(*KEYS[:2]))
    assert kept == jwks(*KEYS[:2])
    assert [key.kid for key in read_key_set(kept)] == [key.kid for key in KEYS[:2]]
    bare = {name: value for name, value in KEYS[0].public.to_jwk().items() if name not in ("kid", "use")}
    assert check_key_set({"keys": [bare]}) == jwks(KEYS[0])


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"keys": []},
        {"keys": {}},
        {"keys": ["x"]},
        {"keys": [PRIVATE]},
        {"keys": [{"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}]},
        {"keys": [{**KEYS[0].public.to_jwk(), "alg": "none"}]},
        {"keys": [{name: value for name, value in KEYS[0].public.to_jwk().items() if name != "alg"}]},
        {"keys": [{**KEYS[0].public.to_jwk(), "jku": "https://evil.example"}]},
        jwks(KEYS[0], KEYS[0]),
        {"keys": [KEYS[0].public.to_jwk(), {**KEYS[0].public.to_jwk(), "kid": "another"}]},
        jwks(*KEYS),
        {**jwks(KEYS[0]), "more": 1},
    ],
)
def test_what_is_no_set_of_public_keys(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadRequest) as refused:
        check_key_set(wrong)
    assert PRIVATE["d"] not in str(refused.value)


def test_a_key_may_say_that_it_verifies() -> None:
    key = {**KEYS[0].public.to_jwk(), "key_ops": ["verify"]}
    assert check_key_set({"keys": [key]}) == jwks(KEYS[0])


@pytest.mark.parametrize("key_ops", [["sign"], ["verify", "sign"], [], "verify", None], ids=str)
def test_a_key_that_says_that_it_does_something_else(key_ops: Any) -> None:
    with pytest.raises(BadRequest, match="key_ops"):
        check_key_set({"keys": [{**KEYS[0].public.to_jwk(), "key_ops": key_ops}]})


async def test_a_client_is_found_as_it_is_kept(world: World) -> None:
    async with world.store.write() as tx:
        await tx.execute(
            insert(CLIENTS).values(
                id="billing",
                name="Billing",
                auth_method="private_key_jwt",
                jwks=jwks(KEYS[0]),
                grant_types=["client_credentials"],
                audiences=["orders"],
                created_at=1.5,
            )
        )
        await tx.execute(insert(CLIENT_PERMISSIONS).values(client_id="billing", permission="orders:read"))
    async with world.store.write() as tx:
        client = await find_client(tx, "billing")
        assert (client.id, client.auth_method, client.secret_hash) == ("billing", "private_key_jwt", None)
        assert json.loads(json.dumps(client.jwks)) == jwks(KEYS[0])
        assert (client.grant_types, client.audiences) == (("client_credentials",), ("orders",))
        assert (client.disabled, client.created_at) == (False, 1.5)
        assert await client_permissions_of(tx, "billing") == ("orders:read",)
        with pytest.raises(NotFound):
            await find_client(tx, "nobody")


async def test_a_user_may_what_was_granted_and_what_the_roles_allow(world: World) -> None:
    user = await world.add("alice", "orders:read", "orders:create")
    async with world.store.write() as tx:
        await tx.execute(insert(ROLES), [{"name": name, "created_at": 1.0} for name in ("clerk", "auditor")])
        for role, permission in (("clerk", "orders:read"), ("clerk", "reports:read"), ("auditor", "audit:read")):
            await tx.execute(insert(ROLE_PERMISSIONS).values(role=role, permission=permission))
        await tx.execute(insert(USER_ROLES).values(user_id=user.id, role="clerk"))
    async with world.store.read() as tx:
        assert await permissions_of(tx, user.id) == ("orders:create", "orders:read", "reports:read")
