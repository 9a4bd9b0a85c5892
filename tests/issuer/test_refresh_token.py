import secrets

import pytest

from ostraka_issuer.errors import GrantRefused
from ostraka_issuer.identifiers import id_bytes, new_id
from ostraka_issuer.keys.vault import Vault
from ostraka_issuer.sessions.refresh_token import Presented, RefreshTokens
from ostraka_schemas import base64url

TOKENS = RefreshTokens(Vault(bytes(32)))
SID = new_id(secrets.token_bytes)


def test_it_says_session_and_generation() -> None:
    token = TOKENS.make(SID, 7)
    assert TOKENS.read(token) == Presented(SID, 7)
    assert TOKENS.make(SID, 7) == token, "a successor can be made again"
    assert len(token) == 70


def test_every_changed_bit_is_noticed() -> None:
    raw = base64url.decode_text(TOKENS.make(SID, 7))
    for place in range(len(raw)):
        changed = bytearray(raw)
        changed[place] ^= 1
        with pytest.raises(GrantRefused):
            TOKENS.read(base64url.encode(bytes(changed)).decode())


def test_another_secret_makes_other_tokens() -> None:
    with pytest.raises(GrantRefused):
        TOKENS.read(RefreshTokens(Vault(bytes([1] * 32))).make(SID, 7))


@pytest.mark.parametrize("text", ["", "x", "a" * 69, "a" * 71, "=" * 70, "é" * 70, "\ud800" * 70, "a" * 100_000])
def test_anything_else_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(GrantRefused) as caught:
        TOKENS.read(text)
    assert str(caught.value) == "this is not a refresh token of ours"


def test_only_our_ids_make_tokens() -> None:
    with pytest.raises(GrantRefused):
        TOKENS.make("short", 1)
    assert id_bytes("short") is None
    assert id_bytes(SID) is not None
    assert len(SID) == 22


def test_it_does_not_show_its_key() -> None:
    assert repr(TOKENS) == "RefreshTokens(…)"
