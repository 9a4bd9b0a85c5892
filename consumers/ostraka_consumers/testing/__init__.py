"""For tests of services that verify tokens: an issuer in the same process, without Kafka, network or waiting.

    issuer = FakeIssuer()
    async with issuer.verifier() as verifier:
        token = issuer.token(sub="alice", permissions=["orders:create"])
        verifier.verify(token).require("orders:create")
        issuer.cut_subject("alice")
        ...                                   # the verifier refuses the token from here on

Everything is signed and verified as in production; only the way between the two is short. Time stands still until the
test moves it. Pytest fixtures: ``pytest_plugins = ["ostraka_consumers.testing.fixtures"]``.
"""

from ostraka_consumers.clock import ManualClock

from .issuer import FakeIssuer
from .signing import ISSUER, published
from .source import FakeSource

__all__ = ["ISSUER", "FakeIssuer", "FakeSource", "ManualClock", "published"]
