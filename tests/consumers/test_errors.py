import inspect

import pytest

import ostraka_consumers
import ostraka_schemas
from ostraka_consumers import errors
from ostraka_schemas.errors import OstrakaError

TREE = {
    "Malformed": ("malformed", 401, "invalid_token"),
    "UnknownKey": ("unknown_key", 401, "invalid_token"),
    "KeyCompromised": ("key_compromised", 401, "invalid_token"),
    "BadSignature": ("bad_signature", 401, "invalid_token"),
    "WrongIssuer": ("wrong_issuer", 401, "invalid_token"),
    "WrongAudience": ("wrong_audience", 401, "invalid_token"),
    "Expired": ("expired", 401, "invalid_token"),
    "NotYetValid": ("not_yet_valid", 401, "invalid_token"),
    "Revoked": ("revoked", 401, "invalid_token"),
    "PermissionDenied": ("permission_denied", 403, "insufficient_scope"),
    "Stale": ("stale", 503, None),
    "NotReady": ("not_ready", 503, None),
    "TooManyGrants": ("too_many_grants", 503, None),
}


@pytest.mark.parametrize("name", TREE)
def test_each_refusal_has_its_code_status_and_challenge(name: str) -> None:
    kind = getattr(errors, name)
    code, status, error = TREE[name]
    assert issubclass(kind, errors.VerificationError)
    assert (kind.code, kind.status, kind.error) == (code, status, error)
    expected = "Bearer" if error is None else f'Bearer error="{error}", error_description="{code}"'
    assert kind('never "echoed"').www_authenticate == expected
    assert getattr(ostraka_consumers, name) is kind


def test_there_are_no_others() -> None:
    kinds = {kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, OstrakaError)}
    others = {OstrakaError, errors.VerificationError, errors.ConfigurationError, errors.SourceError}
    assert {kind.__name__ for kind in kinds - others} == set(TREE)
    assert len({kind.code for kind in kinds}) == len(kinds)
    assert (errors.ConfigurationError.code, errors.SourceError.code) == ("configuration", "source")


def test_the_wires_errors() -> None:
    tree = {kind.__name__: kind.code for kind in ostraka_schemas.WireError.__subclasses__()}
    assert tree == {
        "MalformedError": "malformed",
        "UnsupportedKeyError": "unsupported_key",
        "SignatureMismatch": "bad_signature",
    }
    assert issubclass(ostraka_schemas.WireError, OstrakaError)


def test_the_public_names() -> None:
    assert sorted(ostraka_consumers.__all__) == sorted(
        {*TREE, "ConfigurationError", "Ending", "Freshness", "Grant", "IssuersStatus", "SourceError", "Status"}
        | {"MultiIssuerVerifier", "Requirement", "TokenVerifier", "TrustAnchor", "VerificationError", "Verifier"}
        | {"all_of", "any_of"}
    )
    assert sorted(ostraka_schemas.__all__) == [
        *("AccessTokenClaims", "Head", "Heartbeat", "MalformedError", "OstrakaError", "Position", "Record"),
        *("RootDocument", "SignatureMismatch", "SigningKey", "UnsupportedKeyError", "VerificationKey", "WireError"),
    ]
    for module in (ostraka_consumers, ostraka_schemas):
        assert all(getattr(module, name).__doc__ for name in module.__all__)
