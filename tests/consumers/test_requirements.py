"""Requirements of several permissions."""

from typing import Any

import pytest

from ostraka_consumers import ConfigurationError, PermissionDenied, Requirement, all_of, any_of
from tests.support.fake_issuer import FakeIssuer
from tests.support.verifiers import ready_verifier

HAS = ["orders:read", "orders:create", "reports:*"]


@pytest.mark.parametrize(
    ("requirement", "met"),
    [
        (all_of("orders:read"), True),
        (all_of("orders:read", "orders:create"), True),
        (all_of("orders:read", "orders:approve"), False),
        (any_of("orders:approve", "orders:read"), True),
        (any_of("orders:approve", "users:read"), False),
        (all_of("reports:read"), True),
        (all_of("reports:*"), True),
        (all_of("orders:*"), False),
        (any_of("orders:*", "reports:read"), True),
        (all_of("orders:read", any_of("orders:approve", "orders:create")), True),
        (all_of("orders:read", any_of("orders:approve", "users:read")), False),
        (any_of("users:read", all_of("orders:read", "reports:write")), True),
        (any_of("users:read", all_of("orders:read", "orders:approve")), False),
    ],
    ids=str,
)
async def test_all_and_any_of_it(requirement: Requirement, met: bool) -> None:
    issuer = FakeIssuer()
    verifier = await ready_verifier(issuer)
    try:
        grant = verifier.verify(issuer.token(permissions=HAS))
        assert requirement.is_met_by(grant) is met
        if met:
            grant.require(requirement)
        else:
            with pytest.raises(PermissionDenied, match="this needs") as denied:
                grant.require(requirement)
            assert str(requirement) in str(denied.value)
    finally:
        await verifier.stop()


async def test_what_is_taken_away_counts_at_once() -> None:
    issuer = FakeIssuer()
    verifier = await ready_verifier(issuer)
    try:
        grant = verifier.verify(issuer.token(permissions=HAS))
        either = any_of("orders:create", "orders:read")
        verifier.deliver(issuer.revoke_permission("orders:create"))
        grant.require(either)
        verifier.deliver(issuer.revoke_permission("orders:*"))
        with pytest.raises(PermissionDenied):
            grant.require(either)
    finally:
        await verifier.stop()


@pytest.mark.parametrize("parts", [(), ("",), ("orders",), ("x y:z",), (None,), (["orders:read"],), ("orders:read", 1)])
@pytest.mark.parametrize("make", [all_of, any_of])
def test_what_is_none_is_a_mistake_at_once(make: Any, parts: tuple[Any, ...]) -> None:
    with pytest.raises(ConfigurationError):
        make(*parts)


def test_it_reads_like_a_sentence() -> None:
    nested = all_of("orders:read", any_of("orders:create", "orders:approve"))
    assert str(nested) == "orders:read and (orders:create or orders:approve)"
    assert nested == all_of("orders:read", any_of("orders:create", "orders:approve"))
    assert len({nested, all_of("orders:read"), any_of("orders:read")}) == 3
