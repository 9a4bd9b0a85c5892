import os
import stat
from pathlib import Path

import pytest

from ostraka_consumers.anchor import TrustAnchor
from ostraka_issuer import provision
from ostraka_issuer.errors import HomeError, KeyStoreError, SetupError
from ostraka_issuer.feed.roots import walk
from ostraka_issuer.home import Home
from ostraka_issuer.keys.files import KeyDirectory
from ostraka_issuer.keys.sealed import KeyUse
from ostraka_issuer.keys.vault import Vault
from ostraka_issuer.provision import create_home
from ostraka_issuer.roots.keyfile import RootKeyFile, read_root_key
from ostraka_issuer.runtime import open_issuer
from ostraka_issuer.store.roots import roots_in
from ostraka_schemas.jwk import ALGORITHMS, Algorithm
from tests.issuer.front import open_desk
from tests.issuer.world import new_settings


async def test_what_a_new_home_holds(tmp_path: Path) -> None:
    settings = new_settings(tmp_path, issuer="https://id.example", heartbeat_interval=3)
    made = await create_home(settings)
    home = Home(settings.home)
    home.require()
    anchor = TrustAnchor.load(home.anchor)
    assert anchor == made.anchor == TrustAnchor("https://id.example", (made.root_kid,))
    (stored,) = roots_in(settings)
    (root,) = walk([stored], anchor)
    assert [key.kid for key in root.feed_keys()] == [made.feed_kid]
    assert (root.version, root.epoch, root.root.threshold) == (1, 1, 1)
    assert root.limits.heartbeat_interval == 3
    directory = KeyDirectory(home.keys, Vault.load(home.secret))
    for use, kid in ((KeyUse.ROOT, made.root_kid), (KeyUse.FEED, made.feed_kid), (KeyUse.TOKEN, made.token_kid)):
        assert directory.names(use) == (kid,)
        assert directory.load(use, kid).kid == kid


@pytest.mark.skipif(os.name != "posix", reason="modes are a POSIX thing")
async def test_only_the_owner_may_read_what_is_private(tmp_path: Path) -> None:
    settings = new_settings(tmp_path)
    await create_home(settings)
    modes = {
        path.relative_to(settings.home).parts[0]: stat.S_IMODE(path.stat().st_mode)
        for path in sorted(settings.home.rglob("*"))
        if path.is_file()
    }
    assert {name: oct(mode) for name, mode in modes.items() if name != "anchor.json"} == {
        "secret.key": "0o600",
        "ostraka.db": "0o600",
        "keys": "0o600",
    }
    assert stat.S_IMODE((settings.home / "keys").stat().st_mode) == 0o700


@pytest.mark.parametrize("passphrase", [None, b"correct horse"])
async def test_a_root_key_that_is_taken_away_leaves_nothing_behind(tmp_path: Path, passphrase: bytes | None) -> None:
    settings, file = new_settings(tmp_path), RootKeyFile(tmp_path / "stick.pem", passphrase)
    made = await create_home(settings, root_key=file)
    home = Home(settings.home)
    assert KeyDirectory(home.keys, Vault.load(home.secret)).names(KeyUse.ROOT) == ()
    key = read_root_key(file.path, passphrase)
    assert key.kid == made.root_kid
    private = key.private.private_bytes_raw()  # type: ignore[union-attr]
    for path in (path for path in settings.home.rglob("*") if path.is_file()):
        assert private not in path.read_bytes(), path
    if os.name == "posix":
        assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    async with open_desk(tmp_path) as desk:
        assert (await desk.login("alice"))["access_token"]


async def test_a_root_key_is_never_written_over_another(tmp_path: Path) -> None:
    settings, file = new_settings(tmp_path), RootKeyFile(tmp_path / "stick.pem")
    file.path.write_text("another key")
    with pytest.raises(KeyStoreError, match="never overwritten"):
        await create_home(settings, root_key=file)
    assert file.path.read_text() == "another key"
    assert list(settings.home.iterdir()) == []


@pytest.mark.parametrize("alg", ALGORITHMS)
async def test_every_algorithm_signs_tokens_that_verify(tmp_path: Path, alg: Algorithm) -> None:
    async with open_desk(tmp_path, token_algorithm=alg) as desk:
        token = (await desk.login("alice"))["access_token"]
        assert desk.issuer.verifier.verify(token).allows("orders:create")
        key = (await desk.client.get("/.well-known/jwks.json")).json()["keys"][0]
        assert key["alg"] == alg


async def test_a_home_is_never_overwritten(tmp_path: Path) -> None:
    settings = new_settings(tmp_path)
    await create_home(settings)
    before = {path: path.read_bytes() for path in settings.home.rglob("*") if path.is_file()}
    with pytest.raises(HomeError, match="is a home already"):
        await create_home(settings)
    assert {path: path.read_bytes() for path in settings.home.rglob("*") if path.is_file()} == before


async def test_a_directory_with_other_things_is_left_alone(tmp_path: Path) -> None:
    settings = new_settings(tmp_path)
    settings.home.mkdir()
    (settings.home / "diary.txt").write_text("mine")
    with pytest.raises(HomeError, match="not empty"):
        await create_home(settings)
    assert [path.name for path in settings.home.iterdir()] == ["diary.txt"]


async def test_an_empty_directory_will_do(tmp_path: Path) -> None:
    """A mounted volume is one."""
    settings = new_settings(tmp_path)
    settings.home.mkdir()
    await create_home(settings)
    Home(settings.home).require()


@pytest.mark.parametrize("step", ["_make_keys", "_write_root_key", "_write_database", "write_file"])
async def test_what_was_begun_is_removed(
    tmp_path: Path, store_url: str | None, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    settings = new_settings(tmp_path, database=store_url)

    def fails(*_args: object, **_values: object) -> None:
        raise HomeError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(provision, step, fails)
        with pytest.raises(HomeError, match="no space left"):
            await create_home(settings)
    assert list(settings.home.iterdir()) == []
    await create_home(settings)


async def test_a_database_holds_one_issuer(tmp_path: Path, postgres_url: str) -> None:
    first = new_settings(tmp_path, database=postgres_url)
    await create_home(first)
    with pytest.raises(HomeError, match="holds an issuer already"):
        await create_home(new_settings(tmp_path / "other", database=postgres_url))
    assert list((tmp_path / "other" / "home").iterdir()) == []
    async with open_issuer(first):
        pass


async def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(HomeError, match="cannot make"):
        await create_home(new_settings(tmp_path / "file"))


async def test_an_issuer_needs_a_finished_home(tmp_path: Path) -> None:
    settings = new_settings(tmp_path)
    with pytest.raises(HomeError, match="ostraka init"):
        async with open_issuer(settings):
            pass
    await create_home(settings)
    Home(settings.home).anchor.unlink()
    with pytest.raises(HomeError, match=r"anchor\.json"):
        async with open_issuer(settings):
            pass


async def test_settings_that_contradict_the_home_are_an_error(tmp_path: Path) -> None:
    await create_home(new_settings(tmp_path, issuer="https://id.example", token_algorithm="EdDSA"))
    for wrong in ({"issuer": "https://other.example"}, {"token_algorithm": "ES256"}, {"heartbeat_interval": 60}):
        with pytest.raises(SetupError, match=next(iter(wrong))):
            async with open_issuer(new_settings(tmp_path, **wrong)):
                pass
    async with open_issuer(new_settings(tmp_path)) as issuer:
        assert issuer.settings.issuer == "https://id.example"
        assert issuer.settings.token_algorithm == "EdDSA"


async def test_a_root_document_of_somebody_else_is_refused(tmp_path: Path) -> None:
    mine, other = new_settings(tmp_path / "a"), new_settings(tmp_path / "b")
    await create_home(mine)
    await create_home(other)
    Home(mine.home).database.write_bytes(Home(other.home).database.read_bytes())
    with pytest.raises(HomeError, match="trusted signatures"):
        async with open_issuer(mine):
            pass


async def test_an_issuer_starts_again_where_it_was(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        first = await desk.login("alice", audience=["ostraka"])
    async with open_desk(tmp_path) as desk:
        assert desk.issuer.verifier.verify(first["access_token"]).allows("orders:create")
        assert (await desk.refresh(first["refresh_token"])).status_code == 200
