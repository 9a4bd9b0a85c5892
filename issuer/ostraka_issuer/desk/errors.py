"""What can go wrong at the desk."""

from ostraka_issuer.errors import IssuerError


class DeskError(IssuerError):
    """A part of the stack does not start, or ended by itself; the end of its log is in the message."""

    code = "desk"


class StoryError(IssuerError):
    """A step of the demo did not do what it says."""

    code = "story"
