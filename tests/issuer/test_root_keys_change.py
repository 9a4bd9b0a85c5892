"""Root keys and feed key change while the issuer is not running: its own verifier still reads all of its feed."""

from pathlib import Path

from ostraka_consumers.anchor import TrustAnchor
from ostraka_issuer.home import Home
from ostraka_issuer.roots.draft import Changes
from ostraka_issuer.roots.publish import open_chain
from ostraka_schemas.jwk import SigningKey
from tests.issuer.front import open_desk
from tests.issuer.world import new_settings
from tests.support.ceremony import new_feed_key, root_key_of, signed_next


async def test_an_issuer_starts_under_root_keys_and_a_feed_key_that_are_all_new(tmp_path: Path) -> None:
    settings = new_settings(tmp_path)
    async with open_desk(tmp_path) as desk:
        await desk.login("alice")
        await desk.issuer.revocations.permission("orders:delete")
    new = SigningKey.generate("EdDSA")
    async with open_chain(settings) as chain:
        old = root_key_of(chain)
        changes = Changes(add=[new.public], remove=[old.kid], feed_key=new_feed_key(chain).public)
        await chain.publish(signed_next(chain, changes, [old, new]))
    anchor = TrustAnchor.load(Home(settings.home).anchor)
    assert anchor.root_thumbprints == (new.public.thumbprint,)
    for _ in range(2):
        async with open_desk(tmp_path) as desk:
            token = (await desk.login("alice"))["access_token"]
            assert desk.issuer.verifier.verify(token).subject
            assert desk.issuer.verifier.status.freshness == "fresh"
            assert desk.issuer.anchor == anchor
