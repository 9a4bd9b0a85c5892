"""Errors in OAuth's words (RFC 6749 §5.2, RFC 8693 §2.2.2); ``code`` is what goes into the member ``error``.

    IssuerError
    ├── InvalidRequest          400  a parameter is missing, there twice, or not understood
    ├── InvalidClient           401  the client is unknown, or did not prove who it is: which, is not said
    ├── UnauthorizedClient      400  the client is known, and may not use this grant
    ├── UnsupportedGrantType    400
    ├── InvalidScope            400  it asks for permissions that it cannot have
    └── InvalidTarget           400  it asks for an audience that it cannot have

``GrantRefused`` of the sessions is ``invalid_grant``.
"""

from ostraka_issuer.errors import IssuerError


class InvalidRequest(IssuerError):
    """A parameter is missing, there twice, malformed, or not understood."""

    code = "invalid_request"
    status = 400


class InvalidClient(IssuerError):
    """Client authentication failed: unknown client, wrong or no proof, or a method that is not the client's."""

    code = "invalid_client"
    status = 401


class UnauthorizedClient(IssuerError):
    """The client proved who it is, and may not use this grant."""

    code = "unauthorized_client"
    status = 400


class UnsupportedGrantType(IssuerError):
    """No grant of that name."""

    code = "unsupported_grant_type"
    status = 400


class InvalidScope(IssuerError):
    """What is asked for is malformed or nothing that can be had."""

    code = "invalid_scope"
    status = 400


class InvalidTarget(IssuerError):
    """The audience is malformed or nothing that this client may ask for (RFC 8693 §2.2.2)."""

    code = "invalid_target"
    status = 400
