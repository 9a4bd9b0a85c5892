"""How long hypothesis looks. ``OSTRAKA_HYPOTHESIS=thorough`` looks further, and elsewhere each time.

``mutation`` is for the mutation test, where each test runs a thousand times.
"""

import os

from hypothesis import HealthCheck, settings

_COMMON = {"deadline": None, "database": None, "print_blob": True, "suppress_health_check": [HealthCheck.too_slow]}

settings.register_profile("ci", max_examples=60, stateful_step_count=40, derandomize=True, **_COMMON)  # type: ignore[arg-type]
settings.register_profile("mutation", max_examples=12, stateful_step_count=25, derandomize=True, **_COMMON)  # type: ignore[arg-type]
settings.register_profile("thorough", max_examples=2_000, stateful_step_count=80, **_COMMON)  # type: ignore[arg-type]


def load() -> None:
    """Choose the profile for the tests that are about to be read."""
    settings.load_profile(os.environ.get("OSTRAKA_HYPOTHESIS", "ci"))
