"""JSON bodies read as strictly as tokens are: one object in UTF-8, no name twice. The usual reader takes UTF-16 too."""

from collections.abc import Callable, Coroutine
from json import JSONDecodeError
from typing import Any, Final

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ostraka_schemas import strict_json
from ostraka_schemas.errors import MalformedError

_NOTHING: Final = b"null"
"""How clients send a body that may be left out. Where it may not, it is missing."""


class _StrictRequest(Request):
    async def json(self) -> Any:
        body = await self.body()
        if body == _NOTHING:
            return None
        try:
            return strict_json.loads_object(body)
        except MalformedError as error:
            raise HTTPException(400, f"the body: {error}{_place(error.__cause__)}") from error


def _place(cause: BaseException | None) -> str:
    if not isinstance(cause, JSONDecodeError):
        return ""
    return f": line {cause.lineno}, column {cause.colno}"


class StrictRoute(APIRoute):
    """A route whose JSON body is one object in UTF-8 without repeated names; anything else is 400, which says where."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, behind the strict reader."""
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handle(_StrictRequest(request.scope, request.receive))

        return strict
