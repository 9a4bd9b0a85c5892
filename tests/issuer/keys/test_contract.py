"""What every key store does, whatever keeps the keys."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from ostraka_consumers.clock import ManualClock
from ostraka_issuer.errors import KeyStoreError, StoreUnavailable
from ostraka_issuer.keys.database import DatabaseKeyStore
from ostraka_issuer.keys.files import KeyDirectory
from ostraka_issuer.keys.sealed import KeyUse, SealedKey, reseal_key, seal_key
from ostraka_issuer.keys.stores import DirectoryKeyStore, KeyStore
from ostraka_issuer.keys.vault import Vault
from ostraka_issuer.store import Store
from ostraka_issuer.store.tables import PRIVATE_KEYS
from ostraka_schemas.jwk import ALGORITHMS, Algorithm, SigningKey
from tests.issuer.keys.leaks import forms_of

VAULT = Vault(bytes(32))
OTHER = Vault(bytes([1] * 32))
Make = Callable[[Vault], KeyStore]


@pytest.fixture
def store(any_store: Store) -> Store:
    return any_store


@pytest.fixture(params=["directory", "database"])
def make(request: pytest.FixtureRequest, store: Store, tmp_path: Path) -> Make:
    if request.param == "database":
        return lambda vault: DatabaseKeyStore(store, vault, ManualClock())
    KeyDirectory(tmp_path / "keys", VAULT).create()
    return lambda vault: DirectoryKeyStore(KeyDirectory(tmp_path / "keys", vault))


@pytest.fixture
def keys(make: Make) -> KeyStore:
    return make(VAULT)


@pytest.mark.parametrize("alg", ALGORITHMS)
async def test_a_key_comes_back_as_it_was(keys: KeyStore, make: Make, alg: Algorithm) -> None:
    key = SigningKey.generate(alg)
    await keys.save(KeyUse.TOKEN, key)
    again = await make(VAULT).load(KeyUse.TOKEN, key.kid)
    assert again.public == key.public
    assert key.public.verifies(b"x", again.sign(b"x"))


async def test_a_key_is_opened_in_a_transaction_that_is_under_way(keys: KeyStore, store: Store) -> None:
    key = SigningKey.generate("ES256")
    async with store.write() as tx:
        await keys.save(KeyUse.TOKEN, key, tx)
        assert (await keys.load(KeyUse.TOKEN, key.kid, tx)).public == key.public
    assert (await keys.load(KeyUse.TOKEN, key.kid)).public == key.public


async def test_a_key_of_another_use_is_another_key(keys: KeyStore) -> None:
    feed = SigningKey.generate("EdDSA")
    await keys.save(KeyUse.FEED, feed)
    assert await keys.names(KeyUse.FEED) == (feed.kid,)
    assert await keys.names(KeyUse.TOKEN) == ()
    with pytest.raises(KeyStoreError, match="cannot read"):
        await keys.load(KeyUse.TOKEN, feed.kid)


async def test_what_is_stored_under_another_name_does_not_open(keys: KeyStore) -> None:
    """A feed key can never become a token key, whoever may write to the store."""
    feed, other = SigningKey.generate("EdDSA"), SigningKey.generate("EdDSA")
    sealed = seal_key(VAULT, KeyUse.FEED, feed)
    for use, kid, alg in (
        (KeyUse.TOKEN, feed.kid, "EdDSA"),
        (KeyUse.FEED, other.kid, "EdDSA"),
        (KeyUse.FEED, feed.kid, "ES256"),
        (KeyUse.FEED, feed.kid, "none"),
    ):
        await keys.put([SealedKey(use, kid, alg, sealed.sealed)])
        with pytest.raises(KeyStoreError, match=kid):
            await keys.load(use, kid)


async def test_another_secret_opens_nothing(keys: KeyStore, make: Make) -> None:
    key = SigningKey.generate("ES256")
    await keys.save(KeyUse.TOKEN, key)
    with pytest.raises(KeyStoreError, match="sealed with another secret"):
        await make(OTHER).load(KeyUse.TOKEN, key.kid)


async def test_a_key_is_never_overwritten_by_saving(keys: KeyStore) -> None:
    key = SigningKey.generate("ES256")
    await keys.save(KeyUse.TOKEN, key)
    (before,) = await keys.sealed(KeyUse.TOKEN)
    with pytest.raises(KeyStoreError, match="never overwritten"):
        await keys.save(KeyUse.TOKEN, key)
    assert await keys.sealed(KeyUse.TOKEN) == (before,)


async def test_a_removed_key_is_gone_and_removing_again_is_nothing(keys: KeyStore, make: Make) -> None:
    gone, stays = SigningKey.generate("ES256"), SigningKey.generate("ES256")
    await keys.save(KeyUse.TOKEN, gone)
    await keys.save(KeyUse.TOKEN, stays)
    await keys.save(KeyUse.FEED, gone)
    await keys.remove(KeyUse.TOKEN, gone.kid)
    await keys.remove(KeyUse.TOKEN, gone.kid)
    assert await keys.names(KeyUse.TOKEN) == (stays.kid,)
    assert await keys.names(KeyUse.FEED) == (gone.kid,)
    with pytest.raises(KeyStoreError, match="cannot read"):
        await make(VAULT).load(KeyUse.TOKEN, gone.kid)


async def test_the_first_of_several_that_is_here_is_found(keys: KeyStore, store: Store) -> None:
    first, second = sorted((SigningKey.generate("EdDSA") for _ in range(2)), key=lambda key: key.kid)
    await keys.save(KeyUse.FEED, first)
    await keys.save(KeyUse.FEED, second)

    async def found(*kids: str) -> str | None:
        key = await store.work(lambda connection: keys.find(connection, KeyUse.FEED, kids))
        return None if key is None else key.kid

    assert await found(second.kid, first.kid) == second.kid
    assert await found("nobody", first.kid) == first.kid
    assert await found("nobody") is None
    assert await found() is None


@pytest.mark.parametrize("kid", ["", "../../etc/passwd", "a/b", "a.b", "x" * 65, "a\x00b", "' or 1=1 --"])
async def test_a_kid_cannot_name_another_place(keys: KeyStore, kid: str) -> None:
    with pytest.raises(KeyStoreError, match="kid"):
        await keys.load(KeyUse.TOKEN, kid)
    with pytest.raises(KeyStoreError, match="kid"):
        await keys.remove(KeyUse.TOKEN, kid)
    with pytest.raises(KeyStoreError, match="kid"):
        await keys.put([SealedKey(KeyUse.TOKEN, kid, "ES256", b"x")])


async def test_sealing_anew_keeps_the_keys_and_leaves_the_old_secret_nothing(keys: KeyStore, make: Make) -> None:
    made = [SigningKey.generate(alg) for alg in ("ES256", "EdDSA")]
    for key in made:
        await keys.save(KeyUse.TOKEN, key)
    await keys.put([reseal_key(stored, VAULT, OTHER) for stored in await keys.sealed(KeyUse.TOKEN)])
    for key in made:
        assert (await make(OTHER).load(KeyUse.TOKEN, key.kid)).public == key.public
        with pytest.raises(KeyStoreError, match="sealed with another secret"):
            await keys.load(KeyUse.TOKEN, key.kid)
    assert await keys.names(KeyUse.TOKEN) == tuple(sorted(key.kid for key in made))


@pytest.mark.parametrize("alg", ALGORITHMS)
async def test_nothing_of_the_private_half_is_on_disk(
    keys: KeyStore, store: Store, tmp_path: Path, alg: Algorithm
) -> None:
    key = SigningKey.generate(alg)
    await keys.save(KeyUse.TOKEN, key)
    async with store.read() as tx:
        rows = [part for row in await tx.execute(select(PRIVATE_KEYS)) for part in row]
    await store.close()
    files = [path.read_bytes() + path.name.encode() for path in tmp_path.rglob("*") if path.is_file()]
    kept = [*files, *(part if isinstance(part, bytes) else str(part).encode() for part in rows)]
    for data in kept:
        assert not [form for form in forms_of(key) if form in data]
    assert key.kid.encode() in b"".join(kept)


async def test_a_store_that_does_not_answer_is_no_missing_key(store: Store) -> None:
    keys = DatabaseKeyStore(store, VAULT)
    await keys.save(KeyUse.TOKEN, key := SigningKey.generate("ES256"))
    async with store.write() as tx:
        await tx.exec_driver_sql("ALTER TABLE private_keys RENAME TO elsewhere")
    with pytest.raises(StoreUnavailable):
        await keys.load(KeyUse.TOKEN, key.kid)
