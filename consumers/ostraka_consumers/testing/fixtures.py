"""Pytest fixtures. In a ``conftest.py``: ``pytest_plugins = ["ostraka_consumers.testing.fixtures"]``."""

from collections.abc import Callable

try:
    import pytest
except ImportError as error:
    raise ImportError("the fixtures are pytest's: pip install pytest") from error

from ostraka_consumers.clock import ManualClock

from .issuer import FakeIssuer

__all__ = ["ostraka_clock", "ostraka_issuer", "ostraka_issuers"]


@pytest.fixture
def ostraka_clock() -> ManualClock:
    """The time that issuer and verifiers go by. It stands still until it is moved."""
    return ManualClock()


@pytest.fixture
def ostraka_issuer(ostraka_clock: ManualClock) -> FakeIssuer:
    """An issuer of its own for each test. ``ostraka_issuer.verifier()`` follows it."""
    return FakeIssuer(clock=ostraka_clock)


@pytest.fixture
def ostraka_issuers(ostraka_clock: ManualClock) -> Callable[[str], FakeIssuer]:
    """More issuers that go by the same time: ``ostraka_issuers("https://id.partner.example")`` makes one.

    ``MultiIssuerVerifier([ostraka_issuer.verifier(), partner.verifier()])`` follows two. ``advance`` of either moves
    the clock of both, but only its own heartbeats go on: let the other ``beat()``.
    """
    return lambda issuer: FakeIssuer(issuer=issuer, clock=ostraka_clock)
