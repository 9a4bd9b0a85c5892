"""The alert rules of the how-to speak of metrics and labels that exist; its snippets work."""

import ast
import re
from typing import Any

import pytest
import yaml

from ostraka_consumers import Freshness
from ostraka_consumers.integrations import prometheus
from ostraka_issuer.observability.families import LOOKED_AT
from ostraka_issuer.observability.metrics import COUNTED
from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs/how-to/monitoring.md"
LABELS: dict[str, tuple[str, ...]] = {
    **{row.name: row.labels for row in COUNTED},
    **{row.name: () for row in LOOKED_AT},
    **{row.name: row.labels for row in prometheus.FAMILIES},
}
SELECTOR = re.compile(r"(ostraka_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')


def rules() -> list[dict[str, Any]]:
    (block,) = blocks(PAGE, "yaml")
    return [rule for group in yaml.safe_load(block.text)["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_rule_asks_for_what_is_there(rule: dict[str, Any]) -> None:
    selectors = SELECTOR.findall(rule["expr"])
    assert selectors
    for name, matchers in selectors:
        assert name in LABELS
        for label, value in MATCHER.findall(matchers):
            assert label in LABELS[name]
            if (name, label) == ("ostraka_verifier_freshness", "state"):
                assert set(value.split("|")) <= {state.value for state in Freshness}
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert re.fullmatch(r"\d+[smh]", rule.get("for", "0s"))


def test_no_two_rules_have_one_name_and_the_gravest_are_there() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)
    asked = {name for rule in rules() for name, _ in SELECTOR.findall(rule["expr"])}
    assert asked >= {
        "ostraka_feed_heartbeat_age_seconds",
        "ostraka_feed_oldest_unpublished_age_seconds",
        "ostraka_feed_set_aside_changes",
        "ostraka_verifier_freshness",
    }


def test_the_snippets_import_what_there_is() -> None:
    for block in blocks(PAGE, "python"):
        tree = ast.parse(block.text)
        imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
        assert imports
        for node in imports:
            exec(compile(ast.Module([node], []), str(PAGE), "exec"), {})
