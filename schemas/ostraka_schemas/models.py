"""The base of every model that travels: strict, frozen, and failing with our own error."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from ostraka_schemas import strict_json
from ostraka_schemas.errors import MalformedInput


class WireModel(BaseModel):
    """A JSON object with exactly typed members. Unknown members are ignored: tomorrow's writer may add some."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", hide_input_in_errors=True)

    @classmethod
    def read(cls, names: Mapping[str, object]) -> Self:
        """Return the model that the parsed object ``names`` is.

        Raises:
            MalformedInput: a member is missing, of another type or out of range; the message names it.
        """
        try:
            return cls.model_validate(names)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "object"
            raise MalformedInput("content", f"{cls.__name__}: {where}: {first['msg']}") from None

    def names(self) -> dict[str, Any]:
        """Return the JSON object of this model, without members that are None."""
        return self.model_dump(mode="json", exclude_none=True)

    def to_json(self) -> bytes:
        """Return this model as compact JSON."""
        return strict_json.dumps(self.names())
