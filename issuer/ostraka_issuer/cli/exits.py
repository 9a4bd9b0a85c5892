"""What the exit code of ``ostraka`` says. Scripts may rely on it."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes; the same for every command."""

    OK = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    UNREACHABLE = 4
    NOT_READY = 5
    INTERRUPTED = 130


MEANINGS: dict[Exit, str] = {
    Exit.OK: "done; for verify: the token is accepted",
    Exit.FAILED: "not done: the message says what and why",
    Exit.USAGE: "the command line is wrong",
    Exit.REFUSED: "refused: the token, the password, or the permission to do this",
    Exit.UNREACHABLE: "the issuer does not answer",
    Exit.NOT_READY: "not (yet): no recent news from the feed, or committed but not on the bus yet",
    Exit.INTERRUPTED: "interrupted by Ctrl-C before it was done",
}

EPILOG = "Exit codes:\n\n" + "\n".join(f"* {code.value}: {meaning}" for code, meaning in MEANINGS.items())
"""For the end of ``--help``."""
