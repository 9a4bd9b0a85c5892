"""The command line's login: kept for its owner only, renewed when it runs out."""

import json
import stat
import time
from pathlib import Path

import httpx
import pytest

from ostraka_issuer import api_client
from ostraka_issuer.api_client import Tokens
from ostraka_issuer.cli.exits import Exit
from ostraka_issuer.cli.guard import CommandError
from ostraka_issuer.cli.session import Session, current, with_login
from tests.cli.terminal import invoke_beside

NOW = 1_800_000_000.0
URL = "http://127.0.0.1:1"


def session(expires_in: int = 300) -> Session:
    return Session.begin(URL, "alice", Tokens("access-1", "refresh-1", expires_in, "sid-1"), NOW)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Response]:
    """Answers of an issuer, in order; what it was asked is thrown away."""
    prepared: list[httpx.Response] = []
    real = httpx.AsyncClient

    def client(**kwargs: object) -> httpx.AsyncClient:
        kwargs["transport"] = httpx.MockTransport(lambda request: prepared.pop(0))
        return real(**kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(httpx, "AsyncClient", client)
    return prepared


def test_it_is_kept_whole_and_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "new" / "session.json"
    session().save(path)
    assert Session.load(path) == session()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_it_never_shows_its_tokens() -> None:
    assert "access-1" not in repr(session())
    assert "refresh-1" not in repr(session())


def test_without_a_login_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="ostraka login NAME") as error:
        Session.load(tmp_path / "session.json")
    assert error.value.exit_code is Exit.REFUSED


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"url": 1}'])
def test_a_file_that_is_no_login(tmp_path: Path, content: str) -> None:
    path = tmp_path / "session.json"
    path.write_text(content)
    with pytest.raises(CommandError, match="is not a login"):
        Session.load(path)


async def test_a_login_that_lasts_is_used_as_it_is(tmp_path: Path, answers: list[httpx.Response]) -> None:
    path = tmp_path / "session.json"
    session().save(path)
    assert (await current(path, NOW + 200)).access_token == "access-1"


async def test_a_login_that_ran_out_is_renewed_and_kept(tmp_path: Path, answers: list[httpx.Response]) -> None:
    path = tmp_path / "session.json"
    session().save(path)
    body = {"access_token": "access-2", "refresh_token": "refresh-2", "expires_in": 300, "session_id": "sid-1"}
    answers.append(httpx.Response(200, json=body))
    renewed = await current(path, NOW + 299)
    assert (renewed.access_token, renewed.refresh_token) == ("access-2", "refresh-2")
    assert renewed.expires_at == NOW + 299 + 300
    assert Session.load(path) == renewed


async def test_a_login_that_was_ended_says_what_to_do(tmp_path: Path, answers: list[httpx.Response]) -> None:
    path = tmp_path / "session.json"
    session().save(path)
    before = path.read_bytes()
    answers.append(httpx.Response(400, json={"error": "invalid_grant", "error_description": "the session has ended"}))
    with pytest.raises(CommandError, match="run: ostraka login alice") as error:
        await current(path, NOW + 400)
    assert error.value.exit_code is Exit.REFUSED
    assert path.read_bytes() == before


async def test_an_issuer_that_is_busy_does_not_end_the_login(tmp_path: Path, answers: list[httpx.Response]) -> None:
    path = tmp_path / "session.json"
    session().save(path)
    answers.append(httpx.Response(503, json={"error": "temporarily_unavailable"}))
    with pytest.raises(api_client.IssuerRefused):
        await current(path, NOW + 400)
    assert json.loads(path.read_text())["refresh_token"] == "refresh-1"


async def test_who_may_not_do_it_is_told_as_whom_it_was_asked(tmp_path: Path, answers: list[httpx.Response]) -> None:
    path = tmp_path / "session.json"
    Session.begin(URL, "alice", Tokens("access-1", "refresh-1", 300, "sid-1"), time.time()).save(path)
    answers.append(httpx.Response(403, json={"code": "permission_denied", "detail": "needs keys:read"}))
    with pytest.raises(CommandError, match=r"alice, who is logged in at .* may not do this: needs keys:read") as error:
        await with_login(path, lambda api, token: api.keys(token))
    assert error.value.exit_code is Exit.REFUSED


async def test_a_token_that_is_dead_while_the_login_lives_on_is_renewed_once(
    tmp_path: Path, answers: list[httpx.Response]
) -> None:
    path = tmp_path / "session.json"
    Session.begin(URL, "alice", Tokens("access-1", "refresh-1", 300, "sid-1"), time.time()).save(path)
    body = {"access_token": "access-2", "refresh_token": "refresh-2", "expires_in": 300, "session_id": "sid-1"}
    dead = httpx.Response(401, json={"code": "revoked", "detail": "every older token is cut off"})
    answers += [dead, httpx.Response(200, json=body), httpx.Response(200, json={"keys": []})]
    asked = []

    async def ask(api: api_client.ApiClient, token: str) -> object:
        asked.append(token)
        return await api.keys(token)

    assert await with_login(path, ask) == {"keys": []}
    assert asked == ["access-1", "access-2"]
    answers += [dead, httpx.Response(200, json=body), dead]
    with pytest.raises(CommandError, match=r"is refused: every older token is cut off .*; run: ostraka login alice"):
        await with_login(path, ask)
    assert (len(asked), answers) == (4, [])


@pytest.mark.parametrize("answer", [httpx.Response(404, text="no"), httpx.Response(200, text="<p>hello</p>")])
async def test_a_login_at_something_else(answer: httpx.Response, tmp_path: Path, answers: list[httpx.Response]) -> None:
    answers.append(answer)
    env = {"OSTRAKA_HOME": str(tmp_path), "OSTRAKA_PASSWORD": "correct horse"}
    ran = invoke_beside("login", "alice", "--issuer", URL, env=env)
    assert ran.code == Exit.UNREACHABLE
    assert f"no Ostraka issuer at {URL}" in ran.err
