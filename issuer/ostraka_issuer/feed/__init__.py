"""The feed role: gives intents their place, signs, stores and publishes them, and beats."""

from .local import LocalSource
from .role import FeedRole
from .state import FeedState

__all__ = ["FeedRole", "FeedState", "LocalSource"]
