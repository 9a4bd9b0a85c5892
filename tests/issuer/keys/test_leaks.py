"""A whole life of an issuer, and then a search for everything secret in everything it left behind.

Searched for: private keys (bytes, DER, PEM, numbers, hexadecimal, base64, base64url), the sealing secret, passwords,
clients' secrets, refresh tokens and access tokens. Searched in: the log at its most talkative, what objects show of
themselves, errors with everything they were caused by, refusals over HTTP, the files of the home, every row of the
database (the audit trail is one of its tables).
"""

import base64
import logging
import traceback
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from ostraka_issuer.errors import IssuerError
from ostraka_issuer.home import Home
from ostraka_issuer.keys.files import KeyDirectory
from ostraka_issuer.keys.opening import open_key_store, open_vault
from ostraka_issuer.keys.sealed import KeyUse
from ostraka_issuer.keys.vault import Vault
from ostraka_issuer.settings import IssuerSettings, load_settings
from ostraka_issuer.store import open_store
from ostraka_schemas import base64url
from tests.issuer.front import Desk, open_desk
from tests.issuer.keys.leaks import everything_in, forms_of, spellings
from tests.issuer.world import PASSWORD, new_settings

WRONG = "another-s3cret-that-is-wrong"
RIGHTS = ["users:*", "roles:*", "clients:*", "sessions:*", "audit:*", "keys:*", "revocations:*"]


@dataclass
class Life:
    """What was secret, and what was seen of it."""

    secrets: dict[str, list[bytes]] = field(default_factory=dict, repr=False)
    seen: dict[str, bytes] = field(default_factory=dict, repr=False)

    def keep(self, what: str, *values: str | bytes) -> None:
        forms = self.secrets.setdefault(what, [])
        for value in values:
            raw = value if isinstance(value, bytes) else value.encode()
            forms += [raw, *spellings(raw)]

    def see(self, where: str, text: str | bytes) -> None:
        self.seen[where] = self.seen.get(where, b"") + b"\n" + (text if isinstance(text, bytes) else text.encode())

    def found(self) -> set[tuple[str, str]]:
        """Which kind of secret stands where."""
        return {
            (what, where)
            for what, forms in self.secrets.items()
            for where, text in self.seen.items()
            if any(form in text for form in forms)
        }


@pytest_asyncio.fixture
async def life(
    tmp_path: Path, store_url: str | None, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[tuple[Life, IssuerSettings]]:
    caplog.set_level(logging.DEBUG)
    for name in ("sqlalchemy.engine", "sqlalchemy.pool", "asyncio", "aiosqlite", "ostraka"):
        caplog.set_level(logging.DEBUG, name)
    lived = Life()
    secret = Vault(bytes(range(100, 132)))
    secret.replace(tmp_path / "secret")
    lived.keep("sealing secret", (tmp_path / "secret").read_text().strip(), bytes(range(100, 132)))
    values: dict[str, Any] = {"database": store_url, "key_store": "database", "secret_key_file": tmp_path / "secret"}
    async with open_desk(tmp_path, **values) as desk:
        await desk.issuer.accounts.add_user("root", PASSWORD, RIGHTS)
        await live(desk, lived)
        lived.see("representations", "\n".join(shown(desk)))
    settings = new_settings(tmp_path, **values)
    await keep_the_keys(settings, lived)
    async for error in mistakes(settings, tmp_path):
        lived.see("errors", error)
    store = open_store(settings)
    lived.see("database and home", await everything_in(store, settings.home))
    await store.close()
    # The test's own client says which addresses it asks for, one of them with a token in it.
    records = [record for record in caplog.records if not record.name.startswith("http")]
    lived.see("log", "\n".join(f"{record.getMessage()} {record.exc_text} {vars(record)}" for record in records))
    yield lived, settings


async def live(desk: Desk, lived: Life) -> None:
    """Logins, refreshes, clients, rotations, a leak, and every kind of request that is refused."""
    lived.keep("password", PASSWORD, WRONG)
    client = desk.client
    bearer = await desk.bearer("root")
    alice = await desk.login("alice")
    again = (await desk.refresh(alice["refresh_token"])).json()
    for body in (alice, again):
        lived.keep("access token", body["access_token"], body["access_token"].rpartition(".")[2])
        lived.keep("refresh token", body["refresh_token"], base64url.decode_text(body["refresh_token"]))
    lived.keep("access token", bearer["authorization"].removeprefix("Bearer "))
    new = {"id": "billing", "auth_method": "client_secret_basic", "grant_types": ["client_credentials"]}
    made = await client.post("/admin/clients", json={**new, "audiences": ["orders"]}, headers=bearer)
    assert made.status_code == 201, made.text
    lived.keep("client secret", made.json()["client_secret"])
    basic = ("billing", made.json()["client_secret"])
    lived.keep("client secret", base64.b64encode(":".join(basic).encode()))
    minted = await client.post("/token", data={"grant_type": "client_credentials"}, auth=basic)
    if minted.status_code == httpx.codes.OK:
        lived.keep("access token", minted.json()["access_token"])
    await desk.issuer.keys.rotate(lead=1)
    first = (await desk.issuer.keys.rows())[0]
    await keep_the_keys(desk.issuer.settings, lived)
    assert (await client.post("/admin/keys/rotate", headers=bearer)).status_code < 300
    leaked = await client.post(f"/admin/keys/{first.kid}/compromise", json={"reason": "drill"}, headers=bearer)
    assert leaked.status_code < 300, leaked.text
    async for answer in refusals(client, again, basic):
        assert answer.status_code >= 400, answer.request.url
        lived.see("refusals", f"{answer.headers}\n{answer.text}")


async def refusals(
    client: httpx.AsyncClient, tokens: dict[str, Any], basic: tuple[str, str]
) -> AsyncIterator[httpx.Response]:
    """Requests with something secret in the wrong place."""
    access, refresh = tokens["access_token"], tokens["refresh_token"]
    yield await client.post("/login", json={"username": "alice", "password": WRONG})
    yield await client.post("/login", json={"username": PASSWORD, "password": [PASSWORD]})
    yield await client.post("/login", json={PASSWORD: "alice"})
    yield await client.post("/login", content=f'{{"username": "alice", "password": "{PASSWORD}"'.encode())
    yield await client.post("/login", content=PASSWORD.encode())
    yield await client.post("/token", data={"grant_type": "refresh_token", "refresh_token": access})
    yield await client.post("/token", data={"grant_type": refresh})
    yield await client.post("/token", data={"grant_type": "refresh_token", "refresh_token": f"{refresh}x"})
    yield await client.post(
        "/token", data={"grant_type": "client_credentials", "scope": WRONG}, auth=("billing", WRONG)
    )
    yield await client.post("/token", data={"grant_type": basic[1]}, auth=basic)
    yield await client.get(f"/admin/{access}", headers={"authorization": f"Bearer {access}"})
    yield await client.get("/admin/keys", headers={"authorization": f"Bearer {access}"})
    yield await client.get("/admin/keys", headers={"authorization": f"Basic {access}"})
    yield await client.get("/admin/keys", headers={"authorization": f"Bearer {access[:-3]}xyz"})
    yield await client.post(
        "/admin/keys/rotate", json={"lead": PASSWORD}, headers={"authorization": f"Bearer {access}"}
    )
    yield await client.post("/admin/users", json={"username": "x", "password": PASSWORD})


async def keep_the_keys(settings: IssuerSettings, lived: Life) -> None:
    """Remember every private key that there is now."""
    store, vault = open_store(settings), open_vault(settings)
    keys = open_key_store(settings, vault, store)
    for use in (KeyUse.FEED, KeyUse.TOKEN):
        for kid in await keys.names(use):
            lived.secrets.setdefault(f"private {use} key", []).extend(forms_of(await keys.load(use, kid)))
    await store.close()
    directory = KeyDirectory(Home(settings.home).keys, vault)
    for kid in directory.names(KeyUse.ROOT):
        lived.secrets.setdefault("private root key", []).extend(forms_of(directory.load(KeyUse.ROOT, kid)))


async def mistakes(settings: IssuerSettings, path: Path) -> AsyncIterator[str]:
    """Errors on purpose, each with all that it was caused by."""
    secret = (path / "secret").read_text().strip()
    other = Vault(bytes(32))
    store = open_store(settings)
    keys = open_key_store(settings, other, store)
    (kid, *_) = await keys.names(KeyUse.TOKEN)
    (path / "words").write_text(f"{PASSWORD}\n{secret}x\n")
    (path / "words").chmod(0o600)
    try:
        await keys.load(KeyUse.TOKEN, kid)
    except IssuerError as error:
        yield told(error)
    attempts: list[Callable[[], object]] = [
        lambda: load_settings(home=path, secret_key=secret, http_port=secret),
        lambda: load_settings(home=path, database=secret, kafka_mechanism=PASSWORD),
        lambda: open_vault(new_settings(path, secret_key=f"{secret}=")),
        lambda: open_vault(new_settings(path, secret_key=secret, secret_key_file=path / "secret")),
        lambda: open_vault(new_settings(path, secret_key_file=path / "words")),
        lambda: Vault.from_text(PASSWORD, where="here"),
    ]
    for attempt in attempts:
        with pytest.raises(IssuerError) as caught:
            attempt()
        yield told(caught.value)
    await store.close()


def told(error: BaseException) -> str:
    return f"{error!r} {error} {''.join(traceback.format_exception(error))} {error.__context__!r} {error.__cause__!r}"


def shown(desk: Desk) -> Iterable[str]:
    """What the parts of a running issuer show of themselves, and what is inside them."""
    issuer = desk.issuer
    yield f"{issuer} {issuer!r} {desk.app!r}"
    for part in (getattr(issuer, name) for name in issuer.__dataclass_fields__):
        yield f"{part} {part!r}"
        yield " ".join(f"{name}={value!r} {value}" for name, value in getattr(part, "__dict__", {}).items())
    yield issuer.settings.model_dump_json()


async def test_nothing_secret_is_found_anywhere(life: tuple[Life, IssuerSettings]) -> None:
    lived, _ = life
    assert lived.secrets.keys() == {
        "sealing secret",
        "password",
        "access token",
        "refresh token",
        "client secret",
        "private feed key",
        "private token key",
        "private root key",
    }
    assert lived.seen.keys() == {"representations", "errors", "refusals", "database and home", "log"}
    assert lived.found() == set()


async def test_what_is_searched_would_be_found(life: tuple[Life, IssuerSettings]) -> None:
    """Each secret in each of its forms, put where it must not be; and the places are not empty."""
    lived, settings = life
    for where, text in lived.seen.items():
        assert len(text) > 500, where
    assert b"alice" in lived.seen["database and home"]
    assert b"INSERT INTO" in lived.seen["log"], "the database's own log is on"
    for what, forms in lived.secrets.items():
        for form in forms:
            assert len(form) >= 8, (what, "too short to mean anything")
    lived.seen = {"leak": settings.home.name.encode() + b" " + lived.secrets["private token key"][-1] + b" "}
    assert lived.found() == {("private token key", "leak")}
