"""Secrets stay where they belong: not in logs, not in representations, not in the database."""

import logging
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ostraka_issuer.home import Home
from ostraka_issuer.http.models import Login, Tokens
from ostraka_issuer.keys.sealed import KeyUse
from ostraka_schemas import base64url
from tests.issuer.front import open_desk
from tests.issuer.world import PASSWORD, World


async def test_a_whole_day_at_the_desk_leaves_no_secret_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with open_desk(tmp_path) as desk:
        alice = await desk.login("alice")
        again = (await desk.refresh(alice["refresh_token"])).json()
        await desk.client.post("/login", json={"username": "alice", "password": "another-s3cret"})
        await desk.client.post("/login", content=b'{"username": "alice", "password": ["another-s3cret"]}')
        await desk.refresh("another-s3cret")
        await desk.client.get("/admin/keys", headers={"authorization": "Bearer another-s3cret"})
        await desk.client.post(
            "/admin/revocations", json={"kind": "all"}, headers={"authorization": f"Bearer {again['access_token']}"}
        )
        await desk.issuer.keys.rotate()
        shown = repr(desk.issuer) + repr(desk.issuer.sessions) + repr(desk.issuer.keys)
        secret = base64url.encode(Home(desk.issuer.settings.home).secret.read_bytes()).decode()
    secrets = [PASSWORD, "another-s3cret", secret]
    secrets += [body[name] for body in (alice, again) for name in ("access_token", "refresh_token")]
    for kept in secrets:
        assert kept not in caplog.text
        assert kept not in shown


async def test_the_database_holds_no_token_no_password_and_no_private_key(tmp_path: Path) -> None:
    world = await World.make(tmp_path)
    await world.add()
    issued = await world.sessions.login("alice", PASSWORD)
    issued = await world.sessions.refresh(issued.refresh_token)
    secrets = [PASSWORD.encode(), issued.access_token.encode(), issued.refresh_token.encode()]
    secrets.append(base64url.decode_text(issued.refresh_token)[20:])
    for row in await world.keys.rows():
        private = world.directory.load(KeyUse.TOKEN, row.kid).private
        secrets += [
            private.private_bytes(encoding, PrivateFormat.PKCS8, NoEncryption())
            for encoding in (Encoding.DER, Encoding.PEM)
        ]
        number = private.private_numbers().private_value  # type: ignore[union-attr]
        secrets.append(number.to_bytes(32))
    await world.close()
    for path in world.settings.home.iterdir():
        if path.is_file():
            data = path.read_bytes()
            assert not [secret for secret in secrets if secret in data], path.name


async def test_representations_are_silent(world: World) -> None:
    await world.add()
    issued = await world.sessions.login("alice", PASSWORD)
    key = await world.keys.private((await world.keys.rows())[0].kid)
    tokens = Tokens(access_token="s3cret", expires_in=1, refresh_token="s3cret", session_id="s")
    for thing in (issued, key, world.vault, tokens, Login.model_validate({"username": "a", "password": "s3cret"})):
        assert "s3cret" not in repr(thing)
        assert issued.access_token not in repr(thing)
        assert issued.refresh_token not in repr(thing)
