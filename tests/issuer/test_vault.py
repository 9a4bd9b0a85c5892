import os
from pathlib import Path

import pytest

from ostraka_issuer.errors import KeyStoreError
from ostraka_issuer.keys.vault import SECRET_BYTES, Vault

SECRET = bytes(range(SECRET_BYTES))


def test_what_is_sealed_opens_for_the_same_purpose_only() -> None:
    vault = Vault(SECRET)
    sealed = vault.seal(b"data", b"purpose")
    assert vault.open(sealed, b"purpose") == b"data"
    assert b"data" not in sealed
    with pytest.raises(KeyStoreError):
        vault.open(sealed, b"another purpose")
    with pytest.raises(KeyStoreError):
        Vault(bytes(SECRET_BYTES)).open(sealed, b"purpose")


def test_every_changed_byte_and_every_cut_is_noticed() -> None:
    vault = Vault(SECRET)
    sealed = vault.seal(b"data", b"purpose")
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(KeyStoreError):
            vault.open(bytes(changed), b"purpose")
        with pytest.raises(KeyStoreError):
            vault.open(sealed[:place], b"purpose")


def test_sealing_twice_gives_different_bytes() -> None:
    vault = Vault(SECRET)
    assert vault.seal(b"data", b"p") != vault.seal(b"data", b"p")


def test_derived_secrets_differ_by_purpose_and_stay_the_same() -> None:
    assert Vault(SECRET).derive("a") == Vault(SECRET).derive("a") != Vault(SECRET).derive("b")
    assert SECRET not in (Vault(SECRET).derive("a"), Vault(SECRET).derive(""))


def test_a_stored_secret_is_the_same_after_loading(tmp_path: Path) -> None:
    sealed = Vault.create(tmp_path / "secret.key").seal(b"data", b"p")
    assert Vault.load(tmp_path / "secret.key").open(sealed, b"p") == b"data"


def test_a_secret_is_never_overwritten(tmp_path: Path) -> None:
    Vault.create(tmp_path / "secret.key")
    before = (tmp_path / "secret.key").read_bytes()
    with pytest.raises(KeyStoreError, match="there already"):
        Vault.create(tmp_path / "secret.key")
    assert (tmp_path / "secret.key").read_bytes() == before


@pytest.mark.skipif(os.name != "posix", reason="modes are a POSIX thing")
def test_a_secret_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    Vault.create(path)
    assert path.stat().st_mode & 0o777 == 0o600
    for mode in (0o640, 0o604, 0o620):
        path.chmod(mode)
        with pytest.raises(KeyStoreError, match="chmod 600"):
            Vault.load(path)


@pytest.mark.parametrize("content", [b"", b"AAAA", b"=" * 43, b"\xff" * 43, b"A" * 44])
def test_what_is_no_secret_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyStoreError, match="sealing secret"):
        Vault.load(path)
    with pytest.raises(KeyStoreError, match="cannot read"):
        Vault.load(tmp_path / "nowhere")


def test_it_does_not_show_its_secret() -> None:
    assert repr(Vault(SECRET)) == "Vault(…)"
