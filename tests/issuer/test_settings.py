from pathlib import Path

import pytest

from ostraka_issuer.errors import SetupError
from ostraka_issuer.settings import load_settings


def test_environment_and_arguments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OSTRAKA_HOME", str(tmp_path))
    monkeypatch.setenv("OSTRAKA_AUDIENCES", "orders, reports")
    monkeypatch.setenv("OSTRAKA_TOKEN_LIFETIME", "120")
    settings = load_settings(token_lifetime=60, http_port=None)
    assert settings.home == tmp_path
    assert settings.audiences == ["orders", "reports"]
    assert settings.token_lifetime == 60, "an argument wins over the environment"
    assert settings.http_port == 8400, "no argument means the default"


def test_home_of_the_user_is_expanded() -> None:
    assert load_settings(home=Path("~/somewhere")).home == Path.home() / "somewhere"
    assert load_settings().home.is_absolute()


def test_issuer_is_an_url_without_a_final_slash() -> None:
    assert load_settings(issuer="https://id.example/").issuer == "https://id.example"
    for wrong in ("id.example", "ftp://id.example", "https://id.example?x=1", "https://id.example#x", "https://"):
        with pytest.raises(SetupError, match="issuer"):
            load_settings(issuer=wrong)


@pytest.mark.parametrize(
    "wrong",
    [{"token_lifetime": 901}, {"token_lifetime": 9}, {"http_port": 0}, {"audiences": []}, {"password_profile": "md5"}],
)
def test_what_is_out_of_bounds_is_refused_by_name(wrong: dict[str, object]) -> None:
    with pytest.raises(SetupError, match=next(iter(wrong))):
        load_settings(**wrong)


def test_the_message_does_not_repeat_the_value() -> None:
    with pytest.raises(SetupError) as caught:
        load_settings(token_algorithm="s3cret-looking-value")
    assert "s3cret" not in str(caught.value)
