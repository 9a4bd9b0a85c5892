"""A process that holds private keys leaves none of them in a core dump."""

import logging
import sys

_log = logging.getLogger("ostraka.keys")


def forbid_core_dumps() -> None:
    """Let a crash of this process write no core dump (RLIMIT_CORE = 0). Does nothing where there is no such limit."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - only POSIX has it

    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError) as error:
        _log.warning("a crash may write private keys into a core dump: %s", error)
