"""Nothing that serves requests blocks the event loop: files, hashing, keys and the database work in threads."""

from pathlib import Path

from blockbuster import blockbuster_ctx

from ostraka_issuer.provision import create_home
from tests.issuer.front import open_desk
from tests.issuer.world import new_settings


async def test_from_the_first_start_to_the_last_answer(tmp_path: Path) -> None:
    settings = new_settings(tmp_path)
    with blockbuster_ctx(["ostraka_issuer", "ostraka_consumers"]) as blocking:
        blocking.functions["os.path.abspath"].deactivate()  # joins two strings
        await create_home(settings)
        async with open_desk(tmp_path) as desk:
            alice = await desk.login("alice", audience=["ostraka"])
            assert (await desk.refresh(alice["refresh_token"])).status_code == 200
            bearer = await desk.bearer()
            (key,) = (await desk.client.get("/admin/keys", headers=bearer)).json()["keys"]
            for path in ("/admin/keys/rotate", f"/admin/keys/{key['kid']}/compromise"):
                answer = await desk.client.post(path, headers=bearer)
                assert answer.status_code == 200, answer.text
            bearer = await desk.bearer()
            answer = await desk.client.post("/admin/revocations", json={"kind": "all"}, headers=bearer)
            assert answer.status_code == 200, answer.text
            assert (await desk.client.get("/readyz")).status_code == 200
