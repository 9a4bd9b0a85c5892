"""All integrations that the contract holds for."""

from dataclasses import replace

from .driver import Driver, on_this_loop_among_others
from .messages import MESSAGES
from .threaded import THREADED, in_a_thread_among_others
from .web import WEB


def among_others(driver: Driver) -> Driver:
    """The same integration, with a verifier of several issuers."""
    stand = on_this_loop_among_others if driver.on_a_loop else in_a_thread_among_others
    return replace(driver, name=f"{driver.name}-several", stand=stand)


ONE_ISSUER = [*WEB, *MESSAGES, *THREADED]
DRIVERS = [*ONE_ISSUER, *map(among_others, ONE_ISSUER)]
