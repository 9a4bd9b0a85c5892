"""Authlib's OAuth 2 client, configured from the server's metadata alone."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
import requests
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import ECKey

from ostraka_issuer.accounts.clients import TOKEN_EXCHANGE
from tests.clients.service import WITH_KEY, WITH_SECRET, Service
from tests.clients.tokens import claims_of

T = TypeVar("T")
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


async def run(work: Callable[[], T]) -> T:
    """Authlib's client blocks."""
    return await asyncio.to_thread(work)


def metadata(service: Service) -> dict[str, Any]:
    answer = requests.get(f"{service.url}/.well-known/oauth-authorization-server", timeout=10)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    assert found["issuer"] == service.url
    return found


def public(service: Service, tokens: dict[str, Any]) -> OAuth2Session:
    return OAuth2Session(
        "ostraka-cli",
        token={**tokens, "token_type": "Bearer"},
        token_endpoint=metadata(service)["token_endpoint"],
        token_endpoint_auth_method="none",
    )


def with_secret(service: Service) -> OAuth2Session:
    return OAuth2Session(WITH_SECRET, service.secret, token_endpoint_auth_method="client_secret_basic")


def with_key(service: Service) -> OAuth2Session:
    key, endpoint = service.key, metadata(service)["token_endpoint"]
    pem = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    session = OAuth2Session(WITH_KEY, ECKey.import_key(pem), token_endpoint_auth_method="private_key_jwt")
    session.register_client_auth_method(PrivateKeyJWT(endpoint, headers={"kid": key.kid}, alg=key.alg))
    return session


async def test_a_person_refreshes_and_an_old_refresh_token_ends_the_session(service: Service) -> None:
    tokens = await service.login()

    def work() -> None:
        endpoint = metadata(service)["token_endpoint"]
        session = public(service, tokens)
        first = session.refresh_token(endpoint)
        second = session.refresh_token(endpoint)
        assert claims_of(second["access_token"])["sid"] == claims_of(tokens["access_token"])["sid"]
        assert first["refresh_token"] != second["refresh_token"]
        with pytest.raises(OAuthError, match="invalid_grant"):
            session.refresh_token(endpoint, refresh_token=tokens["refresh_token"])
        with pytest.raises(OAuthError, match="invalid_grant"):
            session.refresh_token(endpoint, refresh_token=second["refresh_token"])

    await run(work)


@pytest.mark.parametrize("client", [with_secret, with_key])
async def test_a_client_gets_a_token_for_itself(service: Service, client: Callable[[Service], OAuth2Session]) -> None:
    def work() -> None:
        session = client(service)
        token = session.fetch_token(metadata(service)["token_endpoint"], grant_type="client_credentials")
        claims = claims_of(token["access_token"])
        assert claims["sub"] == claims["client_id"] == session.client_id
        assert claims["permissions"] == ["orders:read"]
        assert "refresh_token" not in token
        assert 0 < token["expires_in"] <= 300

    await run(work)


async def test_a_wrong_secret_is_told_in_the_words_of_rfc_6749(service: Service) -> None:
    def work() -> None:
        session = OAuth2Session(WITH_SECRET, "wrong", token_endpoint_auth_method="client_secret_basic")
        with pytest.raises(OAuthError, match="invalid_client"):
            session.fetch_token(metadata(service)["token_endpoint"], grant_type="client_credentials")

    await run(work)


@pytest.mark.parametrize("client", [with_secret, with_key])
async def test_a_persons_token_is_exchanged_for_a_narrower_one(
    service: Service, client: Callable[[Service], OAuth2Session]
) -> None:
    tokens = await service.login()

    def work() -> None:
        session = client(service)
        token = session.fetch_token(
            metadata(service)["token_endpoint"],
            grant_type=TOKEN_EXCHANGE,
            subject_token=tokens["access_token"],
            subject_token_type=ACCESS_TOKEN,
            audience="orders",
            scope="orders:create",
        )
        was, claims = claims_of(tokens["access_token"]), claims_of(token["access_token"])
        assert token["issued_token_type"] == ACCESS_TOKEN
        assert (claims["sub"], claims["sid"], claims["aud"]) == (was["sub"], was["sid"], "orders")
        assert claims["act"]["sub"] == session.client_id
        assert claims["permissions"] == ["orders:create"]
        assert claims["exp"] <= was["exp"]
        assert ("cnf" in claims) == (session.client_id == WITH_KEY)

    await run(work)


async def test_a_token_is_introspected_revoked_and_introspected_again(service: Service) -> None:
    def work() -> None:
        found, session = metadata(service), with_secret(service)
        token = session.fetch_token(found["token_endpoint"], grant_type="client_credentials")["access_token"]
        seen = session.introspect_token(found["introspection_endpoint"], token=token).json()
        assert seen["active"] is True
        assert seen["client_id"] == WITH_SECRET
        assert session.revoke_token(found["revocation_endpoint"], token=token).status_code == 200
        assert session.introspect_token(found["introspection_endpoint"], token=token).json() == {"active": False}
        # RFC 7009 §2.2: of a token that is none, or none any more, nobody complains.
        assert session.revoke_token(found["revocation_endpoint"], token=token).status_code == 200
        assert session.revoke_token(found["revocation_endpoint"], token="nonsense").status_code == 200

    await run(work)
