"""From login to refusal, against a running system. Runs where the issuer's home is (``OSTRAKA_HOME``):

python examples/tour.py http://127.0.0.1:8401
"""

import asyncio
import secrets
import sys
import time
from collections.abc import Callable

import httpx

from ostraka_issuer.accounts.offline import open_accounts
from ostraka_issuer.api_client import ApiClient
from ostraka_issuer.settings import load_settings

PATIENCE = 15.0


async def main(orders_url: str) -> int:
    settings = load_settings()
    alice, operator, password = (f"{name}-{secrets.token_hex(3)}" for name in ("alice", "operator", "password"))
    async with open_accounts(settings) as accounts:
        await accounts.add_user(alice, password, ["orders:create"])
        await accounts.add_user(operator, password, ["revocations:create"])
    issuer_url = f"http://127.0.0.1:{settings.http_port}"
    async with ApiClient(issuer_url) as issuer, httpx.AsyncClient(base_url=orders_url, trust_env=False) as orders:
        token = (await issuer.login(alice, password)).access_token
        print(f"{alice} is logged in")

        async def order_answered(fits: Callable[[int], bool]) -> float:
            deadline = time.time() + PATIENCE
            while time.time() < deadline:
                answer = await orders.post("/orders", json={"order": 1}, headers={"Authorization": f"Bearer {token}"})
                if fits(answer.status_code):
                    print(f"an order: {answer.status_code} {answer.text}")
                    return time.time()
            raise TimeoutError

        await order_answered(lambda status: status == httpx.codes.CREATED)
        operators = await issuer.login(operator, password)
        body = {"kind": "subject", "username": alice, "reason": "end of the tour"}
        done = await issuer.revoke(operators.access_token, body)
        refused_at = await order_answered(lambda status: status == httpx.codes.UNAUTHORIZED)
        print(f"refused {(refused_at - done.committed_at) * 1000:.0f} ms after the revocation was committed")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2 or "://" not in sys.argv[1]:
        sys.exit(__doc__)
    sys.exit(asyncio.run(main(*sys.argv[1:])))
