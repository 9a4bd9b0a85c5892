import pytest

from ostraka_consumers import Revoked
from tests.support.fake_issuer import FakeIssuer
from tests.support.verifiers import ready_verifier


async def test_a_token_is_good_until_its_subject_is_cut_off() -> None:
    issuer = FakeIssuer()
    verifier = await ready_verifier(issuer)
    try:
        token = issuer.token()
        assert verifier.verify(token).subject == "alice"
        verifier.deliver(issuer.cut_subject("alice"))
        with pytest.raises(Revoked):
            verifier.verify(token)
        assert verifier.verify(issuer.token()).subject == "alice"
    finally:
        await verifier.stop()
