"""Free ports that stay free.

Ports that the system hands out for outgoing connections are no good for a server that goes away and comes back: a
client that keeps knocking may be given the very port it knocks at, connect to itself, and keep the server from its
place. So these come from below every system's usual range for outgoing connections.
"""

import random
import socket

LOCALHOST = "127.0.0.1"
LOWEST_PORT = 15_000
HIGHEST_PORT = 31_999
ATTEMPTS = 200


def find_free_port() -> int:
    """Returns a port of 127.0.0.1 on which nothing listens now.

    Raises:
        OSError: none of ``ATTEMPTS`` random ports was free.
    """
    for _ in range(ATTEMPTS):
        port = random.randint(LOWEST_PORT, HIGHEST_PORT)  # noqa: S311 - a port is no secret
        if is_free(port):
            return port
    raise OSError(f"found no free port of {LOCALHOST} between {LOWEST_PORT} and {HIGHEST_PORT}")


def is_free(port: int) -> bool:
    """Says whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        # As servers do: a port with nothing but closing connections is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOCALHOST, port))
        except OSError:
            return False
        return True
