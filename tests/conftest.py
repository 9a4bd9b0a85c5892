"""What every test can use."""

import signal

pytest_plugins = ["tests.support.noted", "tests.kafka.fixtures", "tests.postgres.fixtures"]


def pytest_configure() -> None:
    """Let programs that tests start be interrupted, even if the tests run in the background of a shell."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
