"""What can go wrong with a server for tests."""


class PostgresError(Exception):
    """There is no server, or it does not do what it must; the message says why."""
