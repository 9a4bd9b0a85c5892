from typing import Any

import pytest

from ostraka_consumers import ConfigurationError, Grant, PermissionDenied
from ostraka_consumers.trust.core import TrustCore
from ostraka_consumers.trust.tokens import TokenReader
from tests.consumers.trust.feed import Fed
from tests.support.fake_issuer import FakeIssuer


def granted(fed: Fed, **claims: Any) -> Grant:
    return Grant(fed.core, fed.genuine(**claims))


def test_it_says_who_may_what_for_whom() -> None:
    fed = Fed()
    grant = granted(fed, jti="t", sid="s", aud=["orders", "billing"])
    now = fed.issuer.now
    assert (grant.subject, grant.client_id, grant.issuer) == ("alice", "web", fed.issuer.issuer)
    assert (grant.audience, grant.session_id, grant.token_id) == (("orders", "billing"), "s", "t")
    assert (grant.issued_at, grant.expires_at, grant.claims.auth_time) == (now, now + 300, now)
    assert grant.permissions == ("orders:create", "orders:read")
    assert repr(grant) == "Grant(subject='alice', client_id='web', token_id='t')"


@pytest.mark.parametrize(
    ("carried", "required", "allowed"),
    [
        (["orders:create"], "orders:create", True),
        (["orders:create"], "orders:read", False),
        (["orders:create"], "orders:*", False),
        (["orders:*"], "orders:create", True),
        (["orders:*"], "orders:*", True),
        (["orders:*"], "*:*", False),
        (["*:*"], "anything:at-all", True),
        (["a:*", "*:b"], "c:b", True),
        (["a:*", "*:b"], "*:*", False),
        ([], "orders:create", False),
    ],
)
def test_what_is_required_must_be_carried(carried: list[str], required: str, allowed: bool) -> None:
    grant = granted(Fed(), permissions=carried)
    assert grant.allows(required) == allowed
    if allowed:
        grant.require(required)
    else:
        with pytest.raises(PermissionDenied, match="needs the permission"):
            grant.require(required)


def test_patterns_on_all_three_sides() -> None:
    fed = Fed()
    grant = granted(fed, permissions=["orders:*", "*:read"])
    fed.take(fed.issuer.revoke_permission("*:create"))
    fed.take(fed.issuer.keep_only("alice", "orders:*", "reports:read"))
    allowed = {
        required: grant.allows(required)
        for required in (
            "orders:create",
            "orders:read",
            "orders:delete",
            "orders:*",
            "*:read",
            "reports:read",
            "x:read",
        )
    }
    assert [required for required, yes in allowed.items() if yes] == ["orders:read", "orders:delete", "reports:read"]
    assert grant.permissions == ()


@pytest.mark.parametrize("permission", ["", "orders", "orders:", "a:b:c", "a:b\n", None, 1, ["a:b"], b"a:b"])
def test_a_requirement_that_is_none_is_the_programmers_mistake(permission: Any) -> None:
    grant = granted(Fed(), permissions=["*:*"])
    for ask in (grant.allows, grant.require):
        with pytest.raises(ConfigurationError):
            ask(permission)


def test_a_grant_that_outlives_its_token_allows_nothing() -> None:
    """What was revoked is forgotten once every token it could meet has ended; a grant may be held for longer."""
    issuer = FakeIssuer()
    core = TrustCore(issuer.anchor)
    for raw in [*issuer.open(), issuer.heartbeat()]:
        core.receive(raw, issuer.clock.now())
    reader = TokenReader(issuer.issuer, frozenset({"orders"}))
    grant = Grant(core, reader.read(issuer.token(), core.keys))
    core.receive(issuer.revoke_permission("orders:create"), issuer.clock.now())
    seen = [grant.permissions]
    for _ in range(100):
        issuer.clock.advance(20)
        core.receive(issuer.heartbeat(), issuer.clock.now())
        assert not grant.allows("orders:create")
    assert core.state is not None
    assert len(core.state.narrowings) == 0
    seen.append(grant.permissions)
    assert seen == [("orders:read",), ()]
