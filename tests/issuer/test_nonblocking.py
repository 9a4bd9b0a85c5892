"""Nothing that serves requests blocks the event loop: files, hashing, keys and the database work in threads."""

from pathlib import Path

from blockbuster import blockbuster_ctx

from ostraka_issuer.provision import create_home
from tests.issuer.front import open_desk
from tests.issuer.world import new_settings


async def test_from_the_first_start_to_the_last_answer(tmp_path: Path, store_url: str | None) -> None:
    settings = new_settings(tmp_path, database=store_url)
    with blockbuster_ctx(["ostraka_issuer", "ostraka_consumers"]) as blocking:
        blocking.functions["os.path.abspath"].deactivate()  # joins two strings
        # PostgreSQL's driver asks whether libpq's files are there: once for each connection, so a few times in all.
        for name in ("_read_password_file", "_parse_connect_dsn_and_args"):
            blocking.functions["os.stat"].can_block_in("asyncpg/connect_utils.py", name)
        for function in blocking.functions.values():
            # On PostgreSQL it has a thread and an event loop of its own.
            function.can_block_in("store/migrate.py", "bring_to")
            # There Store.work() runs on the event loop; a root document that names a feed key has its file read.
            if store_url is not None:
                function.can_block_in("feed/regime.py", "open_key")
        await create_home(settings)
        async with open_desk(tmp_path, database=store_url) as desk:
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
