import signal
import subprocess
import sys

import pytest

from ostraka_issuer import failpoints
from ostraka_issuer.errors import SetupError

PASSES = """
from ostraka_issuer import failpoints
failpoints.arm({spec!r})
for turn in range(5):
    failpoints.hit("publish.before_send")
    print(turn, flush=True)
    failpoints.hit("publish.after_send")
"""


@pytest.mark.parametrize(("spec", "turns"), [("publish.before_send", 0), ("publish.after_send:3", 3)])
def test_the_process_is_killed_at_the_nth_passing(spec: str, turns: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PASSES.format(spec=spec)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.split() == [str(turn) for turn in range(turns)]


def test_unarmed_nothing_happens() -> None:
    failpoints.arm(None)
    for name in failpoints.NAMES:
        failpoints.hit(name)


@pytest.mark.parametrize("spec", ["nowhere", "publish.after_send:0", "publish.after_send:x", "publish.after_send:-1"])
def test_a_wrong_name_or_count_is_an_error(spec: str) -> None:
    with pytest.raises(SetupError, match="failpoint"):
        failpoints.arm(spec)
