"""Root ceremonies in a home whose root key lies beside the others (dev profile)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ostraka_issuer.keys.files import KeyDirectory
from ostraka_issuer.keys.opening import open_vault
from ostraka_issuer.keys.sealed import KeyUse
from ostraka_issuer.roots.draft import Changes, next_root
from ostraka_issuer.roots.publish import Chain, Published, open_chain
from ostraka_issuer.settings import IssuerSettings
from ostraka_schemas.jwk import SigningKey
from ostraka_schemas.root import FEED_ALGORITHM, sign_root


def directory_of(chain: Chain) -> KeyDirectory:
    return KeyDirectory(chain.home.keys, open_vault(chain.settings))


def root_key_of(chain: Chain) -> SigningKey:
    directory = directory_of(chain)
    (kid,) = directory.names(KeyUse.ROOT)
    return directory.load(KeyUse.ROOT, kid)


def new_feed_key(chain: Chain) -> SigningKey:
    """A feed key, sealed in the home, that no root document names yet."""
    key = SigningKey.generate(FEED_ALGORITHM)
    directory_of(chain).save(KeyUse.FEED, key)
    return key


def signed_next(chain: Chain, changes: Changes, keys: Sequence[SigningKey] | None = None) -> dict[str, Any]:
    document = next_root(chain.newest, changes, now=int(chain.now))
    return sign_root(document, keys if keys is not None else [root_key_of(chain)])


async def publish_next(settings: IssuerSettings, changes: Changes | None = None, *, rotate: bool = False) -> Published:
    """Publish the next version; with ``rotate`` under a new feed key."""
    changes = changes or Changes()
    async with open_chain(settings) as chain:
        if rotate:
            changes = replace(changes, feed_key=new_feed_key(chain).public)
        return await chain.publish(signed_next(chain, changes))
