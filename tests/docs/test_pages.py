"""Pages: links lead somewhere, and every block is of a kind that a test runs."""

from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, blocks, links


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), link
        if anchor:
            heads = [line.lstrip("# ") for line in path.read_text(encoding="utf-8").splitlines() if line[:1] == "#"]
            assert anchor in {head.lower().replace(" ", "-") for head in heads}, link


def test_no_commands_outside_of_tested_pages() -> None:
    tested = {
        "README.md",
        "CONTRIBUTING.md",
        "docs/how-to/postgresql.md",
        "docs/how-to/root-documents.md",
        "docs/how-to/two-replicas.md",
        "docs/tutorial/first-steps.md",
    }
    with_commands = {str(page.relative_to(ROOT)) for page in PAGES if blocks(page, "bash")}
    assert with_commands <= tested
