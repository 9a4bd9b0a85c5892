"""The running issuer, for the routes."""

from typing import Annotated

from fastapi import Depends, Request

from ostraka_issuer.runtime import Issuer


async def _issuer(request: Request) -> Issuer:
    issuer: Issuer = request.app.state.issuer
    return issuer


TheIssuer = Annotated[Issuer, Depends(_issuer)]
"""A parameter of this type is the issuer that serves the request."""
