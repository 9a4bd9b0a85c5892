"""Arguments that are ids: one id in 64 begins with a dash (base64url), and would be taken for an option."""

import re
from typing import Any, Final

from typer.core import TyperCommand

_ID: Final = re.compile(r"-(?:[A-Za-z0-9_\-]{21}|[A-Za-z0-9_\-]{42})")
"""16 bytes, such as a session's id, or the 32 of a key's thumbprint."""


class TakesId(TyperCommand):
    """A command whose argument may be an id that begins with a dash."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put such ids behind ``--``, where nothing is an option."""
        if "--" in args:
            return super().parse_args(ctx, args)
        with_value = {name for option in self.params if not getattr(option, "is_flag", True) for name in option.opts}
        ids = [
            place
            for place, text in enumerate(args)
            if _ID.fullmatch(text) and not (place and args[place - 1] in with_value)
        ]
        others = [text for place, text in enumerate(args) if place not in ids]
        return super().parse_args(ctx, [*others, "--", *(args[place] for place in ids)] if ids else args)
