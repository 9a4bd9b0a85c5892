"""The doors that are asked most, reached without the framework's router, dependencies and body parsing.

They stay registered as routes, for the OpenAPI document and for whatever is asked of them in any other way. Whatever
watches and bounds requests is in front of them as of everything else.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ostraka_issuer.runtime import Issuer

Door = Callable[[Request, Issuer], Awaitable[Response]]
"""A door that reads the request itself, answers its own errors, and depends on the issuer alone."""


class DirectDoors:
    """ASGI middleware: opens such doors.

    Args:
        routers: their routes; each endpoint is a ``Door``.
    """

    def __init__(self, app: ASGIApp, routers: Iterable[APIRouter]) -> None:
        self._app = app
        routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
        self._doors: Final = {(method, route.path): route for route in routes for method in route.methods or ()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        route = None
        if scope["type"] == "http" and not scope.get("root_path"):
            route = self._doors.get((scope["method"], scope["path"]))
        if route is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = route
        door: Door = route.endpoint
        response = await door(Request(scope, receive), scope["app"].state.issuer)
        await response(scope, receive, send)
