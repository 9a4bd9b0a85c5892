"""Places where a test can end the process as a power cut would.

``OSTRAKA_FAILPOINT=name`` or ``name:n`` kills it with SIGKILL at the n-th passing. Unarmed, a passing costs one
comparison.
"""

import os
import signal
from typing import Final

from .errors import SetupError

NAMES: Final = (
    "revoke.before_commit",
    "revoke.after_commit",
    "sequence.before_sign",
    "sequence.before_commit",
    "sequence.after_commit",
    "publish.before_send",
    "publish.after_send",
    "publish.after_mark",
)


class _Armed:
    name: str | None = None
    left: int = 0


def arm(spec: str | None) -> None:
    """Choose the failpoint to stop at, ``name`` or ``name:n``; ``None`` disarms.

    Raises:
        SetupError: there is no such failpoint, or ``n`` is not a positive number.
    """
    if spec is None:
        _Armed.name = None
        return
    fault = fault_in(spec)
    if fault is not None:
        raise SetupError(fault)
    name, _, count = spec.partition(":")
    _Armed.name, _Armed.left = name, int(count or "1")


def fault_in(spec: str) -> str | None:
    """What is wrong with ``name`` or ``name:n``, if anything; without the value."""
    name, _, count = spec.partition(":")
    if name not in NAMES:
        return f"no failpoint of that name; there are {', '.join(NAMES)}"
    if not (count or "1").isdecimal() or int(count or "1") < 1:
        return "a failpoint is name or name:n, n counted from 1"
    return None


def hit(name: str) -> None:
    """Pass the failpoint ``name``; end the process if it is armed and its turn has come."""
    if _Armed.name != name:
        return
    _Armed.left -= 1
    if _Armed.left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
