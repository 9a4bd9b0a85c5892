"""The settings file of the how-to page is one."""

import re
from pathlib import Path

from ostraka_issuer.configuration.layers import using
from ostraka_issuer.settings import resolve_settings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "production.md"


def test_the_file_is_accepted_whole(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```toml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    file = tmp_path / "ostraka.toml"
    file.write_text(block)
    with using(file):
        resolved = resolve_settings()
    assert len(resolved.origins) == block.count(" = ")
    assert resolved.settings.issuer == "https://id.example.com"
    assert resolved.settings.secret_key_file == Path("/run/secrets/ostraka-secret-key")
