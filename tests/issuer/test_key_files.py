import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ostraka_issuer.errors import KeyStoreError
from ostraka_issuer.keys.files import KeyDirectory
from ostraka_issuer.keys.sealed import KeyUse
from ostraka_issuer.keys.vault import Vault
from ostraka_schemas.jwk import ALGORITHMS, Algorithm, SigningKey

VAULT = Vault(bytes(32))


@pytest.fixture
def directory(tmp_path: Path) -> KeyDirectory:
    directory = KeyDirectory(tmp_path / "keys", VAULT)
    directory.create()
    return directory


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_key_comes_back_as_it_was(directory: KeyDirectory, alg: Algorithm) -> None:
    key = SigningKey.generate(alg)
    directory.save(KeyUse.TOKEN, key)
    again = directory.load(KeyUse.TOKEN, key.kid)
    assert again.public == key.public
    assert key.public.verifies(b"x", again.sign(b"x"))


@pytest.mark.skipif(os.name != "posix", reason="modes are a POSIX thing")
def test_only_the_owner_may_read_keys(directory: KeyDirectory, tmp_path: Path) -> None:
    directory.save(KeyUse.FEED, SigningKey.generate("EdDSA"))
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "keys").iterdir()} == {0o600}


def test_nothing_of_the_private_half_is_on_disk(directory: KeyDirectory, tmp_path: Path) -> None:
    key = SigningKey.generate("EdDSA")
    directory.save(KeyUse.ROOT, key)
    plain = key.private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    for path in (tmp_path / "keys").iterdir():
        data = path.read_bytes()
        assert plain not in data
        assert plain.hex().encode() not in data
        assert b"PRIVATE" not in data


def test_a_renamed_file_does_not_open(directory: KeyDirectory, tmp_path: Path) -> None:
    """A feed key can never become a token key."""
    feed, other = SigningKey.generate("EdDSA"), SigningKey.generate("EdDSA")
    directory.save(KeyUse.FEED, feed)
    path = tmp_path / "keys" / f"feed-{feed.kid}.key"
    for name in (f"token-{feed.kid}", f"root-{feed.kid}"):
        (tmp_path / "keys" / f"{name}.key").write_bytes(path.read_bytes())
        with pytest.raises(KeyStoreError, match="sealed with another secret"):
            directory.load(KeyUse(name.split("-")[0]), feed.kid)
    (tmp_path / "keys" / f"feed-{other.kid}.key").write_bytes(path.read_bytes())
    with pytest.raises(KeyStoreError):
        directory.load(KeyUse.FEED, other.kid)


def test_another_algorithm_in_the_file_does_not_open(directory: KeyDirectory, tmp_path: Path) -> None:
    key = SigningKey.generate("RS256")
    directory.save(KeyUse.TOKEN, key)
    path = tmp_path / "keys" / f"token-{key.kid}.key"
    for name in (b"PS256", b"none", b""):
        path.write_bytes(name + b"\n" + path.read_bytes().partition(b"\n")[2])
        with pytest.raises(KeyStoreError):
            directory.load(KeyUse.TOKEN, key.kid)


def test_a_key_file_is_never_overwritten(directory: KeyDirectory) -> None:
    key = SigningKey.generate("ES256")
    directory.save(KeyUse.TOKEN, key)
    with pytest.raises(KeyStoreError, match="never overwritten"):
        directory.save(KeyUse.TOKEN, key)
    with pytest.raises(KeyStoreError):
        directory.create()


def test_a_removed_key_is_gone_and_removing_again_is_nothing(directory: KeyDirectory, tmp_path: Path) -> None:
    key = SigningKey.generate("ES256")
    directory.save(KeyUse.TOKEN, key)
    assert directory.names(KeyUse.TOKEN) == (key.kid,)
    assert directory.names(KeyUse.FEED) == ()
    directory.remove(KeyUse.TOKEN, key.kid)
    directory.remove(KeyUse.TOKEN, key.kid)
    assert directory.names(KeyUse.TOKEN) == ()
    assert list((tmp_path / "keys").iterdir()) == []
    with pytest.raises(KeyStoreError, match="cannot read"):
        directory.load(KeyUse.TOKEN, key.kid)


@pytest.mark.parametrize("kid", ["", "../../etc/passwd", "a/b", "a.b", "x" * 65, "a\x00b"])
def test_a_kid_cannot_name_another_place(directory: KeyDirectory, kid: str) -> None:
    with pytest.raises(KeyStoreError, match="kid"):
        directory.load(KeyUse.TOKEN, kid)
    with pytest.raises(KeyStoreError, match="kid"):
        directory.remove(KeyUse.TOKEN, kid)
