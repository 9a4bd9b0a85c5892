"""Libraries that verify our tokens by the key set that we publish: PyJWT's client and joserfc."""

import asyncio
from typing import Any

import httpx
import jwt
import pytest
from joserfc import jwk
from joserfc import jwt as joserfc_jwt
from joserfc.errors import BadSignatureError

from tests.clients.service import Service
from tests.clients.tokens import claims_of, with_another_claim

ALGORITHMS = ["ES256", "EdDSA", "RS256"]


async def test_pyjwt_finds_the_key_and_accepts(service: Service) -> None:
    token = (await service.login())["access_token"]
    keys = jwt.PyJWKClient(f"{service.url}/.well-known/jwks.json", cache_keys=True)

    def accept(presented: str) -> dict[str, Any]:
        key = keys.get_signing_key_from_jwt(presented)
        found: dict[str, Any] = jwt.decode(
            presented, key, algorithms=ALGORITHMS, audience="orders", issuer=service.url, options={"require": ["exp"]}
        )
        return found

    assert jwt.get_unverified_header(token)["typ"] == "at+jwt"
    assert await asyncio.to_thread(accept, token) == claims_of(token)
    with pytest.raises(jwt.InvalidSignatureError):
        await asyncio.to_thread(accept, with_another_claim(token))


async def test_joserfc_reads_the_key_set_and_accepts(service: Service) -> None:
    token = (await service.login())["access_token"]
    async with httpx.AsyncClient(base_url=service.url, trust_env=False) as client:
        answer = await client.get("/.well-known/jwks.json")
        again = await client.get("/.well-known/jwks.json", headers={"If-None-Match": answer.headers["etag"]})
    keys = jwk.KeySet.import_key_set(answer.json())
    found = joserfc_jwt.decode(token, keys, algorithms=ALGORITHMS)
    assert found.header["typ"] == "at+jwt"
    assert found.claims == claims_of(token)
    joserfc_jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": service.url}, aud={"essential": True, "value": "orders"}
    ).validate(found.claims)
    with pytest.raises(BadSignatureError):
        joserfc_jwt.decode(with_another_claim(token), keys, algorithms=ALGORITHMS)
    # Whoever keeps the set asks whether it is still that one.
    assert again.status_code == 304
    assert "max-age" in answer.headers["cache-control"]


async def test_no_key_that_is_published_has_a_private_half(service: Service) -> None:
    async with httpx.AsyncClient(base_url=service.url, trust_env=False) as client:
        keys = (await client.get("/.well-known/jwks.json")).json()["keys"]
    assert keys
    for key in keys:
        assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & set(key)
