"""All integrations that the contract holds for."""

from .messages import MESSAGES
from .threaded import THREADED
from .web import WEB

DRIVERS = [*WEB, *MESSAGES, *THREADED]
