"""What must hold of every history. Each rule is a function of its own, with the rule in words.

A history in which a thief held the feed key is judged apart: whoever was told something by him may believe anything of
it, but never un-revoke, never go back, and never fail to notice a second story.
"""

from collections.abc import Callable
from typing import Final

from .history import History
from .rules import decisions, feed, reports
from .rules.reading import Found, Violation

__all__ = ["INVARIANTS", "Violation", "check"]

INVARIANTS: Final[tuple[Callable[[History], Found], ...]] = (
    decisions.accepted_too_late,
    decisions.accepted_against_what_it_knows,
    feed.went_back,
    decisions.decided_before_it_was_back,
    decisions.denied_and_accepted_again,
    decisions.equal_heads_decide_differently,
    feed.committed_but_not_sent,
    decisions.foreign_key_used,
    reports.fresh_without_cause,
    decisions.accepted_without_news,
    reports.withheld_and_unnoticed,
    reports.unverified_data_remembered,
    reports.bad_but_not_counted,
    feed.good_but_refused,
    feed.skipped_or_lost,
    feed.root_went_back,
    decisions.wrongly_refused,
    decisions.wrongly_withheld,
    reports.false_alarm,
    feed.second_story_unnoticed,
    reports.not_healed,
)


def check(history: History) -> list[Violation]:
    """Every rule that does not hold, each once, where it first broke."""
    violations = []
    for rule in INVARIANTS:
        for seen, how in rule(history):
            violations.append(Violation(rule.__name__, seen.step, f"v{seen.who + 1} at t={seen.t:.1f}: {how}"))
            break
    return violations
