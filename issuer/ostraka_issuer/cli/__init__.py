"""The command ``ostraka``. One module a group of commands."""

from .app import app

__all__ = ["app"]
