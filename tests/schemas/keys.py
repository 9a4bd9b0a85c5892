"""Keys that are made once for all tests of this room."""

from functools import cache

from ostraka_schemas.jwk import ALGORITHMS, Algorithm, SigningKey


@cache
def signing_key(alg: Algorithm, number: int = 0) -> SigningKey:
    """A key for ``alg``; another for each ``number``."""
    return SigningKey.generate(alg)


def every_key() -> list[SigningKey]:
    """One key an algorithm."""
    return [signing_key(alg) for alg in ALGORITHMS]
