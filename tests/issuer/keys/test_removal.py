"""Keys go to the other store, or under another secret, and the issuer goes on with them."""

from pathlib import Path
from typing import Any

import pytest

from ostraka_issuer.errors import Conflict, KeyStoreError, SetupError
from ostraka_issuer.home import Home
from ostraka_issuer.keys.opening import open_key_store, open_vault
from ostraka_issuer.keys.removal import move_keys, reseal_keys
from ostraka_issuer.keys.sealed import KeyUse, reseal_key
from ostraka_issuer.keys.vault import Vault
from ostraka_issuer.settings import IssuerSettings
from ostraka_issuer.store import open_store
from tests.issuer.front import open_desk
from tests.issuer.world import new_settings


async def used(path: Path, store_url: str | None, **values: Any) -> IssuerSettings:
    """A home that has worked."""
    async with open_desk(path, database=store_url, **values) as desk:
        await desk.login("alice")
        await desk.issuer.keys.rotate(lead=60)
    return new_settings(path, database=store_url, **values)


async def works(path: Path, store_url: str | None, **values: Any) -> bool:
    async with open_desk(path, database=store_url, **values) as desk:
        return bool((await desk.login("alice"))["access_token"])


async def names(settings: IssuerSettings, which: str) -> list[str]:
    store = open_store(settings)
    keys = open_key_store(settings, open_vault(settings), store, name=which)  # type: ignore[arg-type]
    found = [f"{use}-{kid}" for use in (KeyUse.FEED, KeyUse.TOKEN) for kid in await keys.names(use)]
    await store.close()
    return found


async def test_there_and_back_again(tmp_path: Path, store_url: str | None) -> None:
    settings = await used(tmp_path, store_url)
    before = await names(settings, "directory")
    assert len(before) == 3
    assert await move_keys(settings, "database") == tuple(before)
    assert (await names(settings, "directory"), await names(settings, "database")) == ([], before)
    assert await works(tmp_path, store_url, key_store="database")
    with pytest.raises(SetupError, match="none of the feed keys"):
        await works(tmp_path, store_url)
    assert await move_keys(settings, "database") == (), "there already"
    assert await move_keys(settings, "directory") == tuple(before)
    assert await works(tmp_path, store_url)


async def test_a_key_that_does_not_open_stops_the_move_before_anything_is_lost(
    tmp_path: Path, store_url: str | None
) -> None:
    settings = await used(tmp_path, store_url)
    before = await names(settings, "directory")
    spoilt = next(Home(settings.home).keys.glob("token-*.key"))
    spoilt.write_bytes(spoilt.read_bytes()[:-1])
    with pytest.raises(KeyStoreError, match="damaged"):
        await move_keys(settings, "database")
    assert (await names(settings, "directory"), await names(settings, "database")) == (before, [])


async def test_nothing_is_moved_or_sealed_under_a_running_issuer(tmp_path: Path, store_url: str | None) -> None:
    settings = new_settings(tmp_path, database=store_url)
    Vault.create(tmp_path / "new.key")
    async with open_desk(tmp_path, database=store_url):
        with pytest.raises(Conflict, match="stop every process"):
            await move_keys(settings, "database")
        with pytest.raises(Conflict, match="stop every process"):
            await reseal_keys(settings, tmp_path / "new.key")
    assert len(await names(settings, "directory")) == 2


@pytest.mark.parametrize("key_store", ["directory", "database"])
async def test_another_secret_in_the_home(tmp_path: Path, store_url: str | None, key_store: str) -> None:
    settings = await used(tmp_path, store_url, key_store=key_store)
    secret = Home(settings.home).secret
    old = secret.read_bytes()
    Vault.create(tmp_path / "new.key")
    assert len(await reseal_keys(settings, tmp_path / "new.key")) == 4, "feed, two of tokens, and the root key"
    assert secret.read_bytes() == (tmp_path / "new.key").read_bytes() != old
    assert await works(tmp_path, store_url, key_store=key_store)
    secret.write_bytes(old)
    with pytest.raises(KeyStoreError, match="sealed with another secret"):
        await works(tmp_path, store_url, key_store=key_store)


async def test_another_secret_that_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = tmp_path / "old.key", tmp_path / "new.key"
    for path in (old, new):
        Vault.create(path)
    settings = await used(tmp_path, None, secret_key_file=str(old))
    assert not Home(settings.home).secret.exists()
    await reseal_keys(settings, new)
    assert not Home(settings.home).secret.exists()
    with pytest.raises(KeyStoreError, match="sealed with another secret"):
        await works(tmp_path, None, secret_key_file=str(old))
    assert await works(tmp_path, None, secret_key_file=str(new))
    monkeypatch.setenv("OSTRAKA_SECRET_KEY", new.read_text().strip())
    assert await works(tmp_path, None)


async def test_sealing_that_was_cut_short_is_finished_by_the_next_run(tmp_path: Path) -> None:
    settings = await used(tmp_path, None)
    Vault.create(tmp_path / "new.key")
    old, new = open_vault(settings), Vault.load(tmp_path / "new.key")
    store = open_store(settings)
    keys = open_key_store(settings, old, store)
    (first, *_) = await keys.sealed(KeyUse.TOKEN)
    await keys.put([reseal_key(first, old, new)])
    await store.close()
    await reseal_keys(settings, tmp_path / "new.key")
    assert await works(tmp_path, None)


async def test_there_is_exactly_one_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = await used(tmp_path, None)
    text = Home(settings.home).secret.read_text().strip()
    monkeypatch.setenv("OSTRAKA_SECRET_KEY", text)
    with pytest.raises(KeyStoreError, match=r"two sealing secrets, OSTRAKA_SECRET_KEY and .*secret\.key") as caught:
        open_vault(new_settings(tmp_path))
    assert text not in str(caught.value)
    with pytest.raises(KeyStoreError, match="both given"):
        open_vault(new_settings(tmp_path, secret_key_file=tmp_path / "x"))
    Home(settings.home).secret.unlink()
    assert await works(tmp_path, None)
    monkeypatch.setenv("OSTRAKA_SECRET_KEY", f"{text[:-1]}=")
    with pytest.raises(SetupError, match=r"OSTRAKA_SECRET_KEY\): must be base64url of 32 random bytes") as refused:
        new_settings(tmp_path)
    assert text[:20] not in str(refused.value)
    monkeypatch.delenv("OSTRAKA_SECRET_KEY")
    with pytest.raises(KeyStoreError, match="no sealing secret"):
        open_vault(new_settings(tmp_path))
