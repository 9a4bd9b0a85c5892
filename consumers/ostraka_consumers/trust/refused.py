"""How the trust core says no to bytes."""


class Refused(Exception):
    """The bytes are not to be believed. ``reason`` is a short machine name."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
