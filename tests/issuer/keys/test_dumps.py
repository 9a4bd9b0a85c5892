import os
import subprocess
import sys

import pytest

PROGRAM = """
import resource
from ostraka_issuer.keys.dumps import forbid_core_dumps
forbid_core_dumps()
forbid_core_dumps()
print(*resource.getrlimit(resource.RLIMIT_CORE))
"""


@pytest.mark.skipif(os.name != "posix", reason="limits are a POSIX thing")
def test_a_crash_leaves_no_core() -> None:
    """In a process of its own: a limit that was lowered cannot be raised again."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["0", "0"]
