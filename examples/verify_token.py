"""No framework: a verifier, a token from standard input, and what it allows.

echo "$TOKEN" | OSTRAKA_ANCHOR=anchor.json OSTRAKA_KAFKA=kafka:9092 python verify_token.py
"""

import asyncio
import os
import sys

from ostraka_consumers import TrustAnchor, VerificationError, Verifier
from ostraka_consumers.sources import KafkaSource


async def main() -> int:
    anchor = TrustAnchor.load(os.environ["OSTRAKA_ANCHOR"])
    verifier = Verifier(anchor, audience="orders", sources=[KafkaSource(os.environ["OSTRAKA_KAFKA"])])
    async with verifier:
        try:
            grant = verifier.verify(sys.stdin.readline().strip())
            grant.require("orders:create")
        except VerificationError as error:
            print(f"refused: {error.code}")
            return 1
        print(f"{grant.subject} may create orders until {grant.expires_at}")
        return 0


if __name__ == "__main__":
    if sys.stdin.isatty() or not {"OSTRAKA_ANCHOR", "OSTRAKA_KAFKA"} <= os.environ.keys():
        sys.exit(__doc__)
    sys.exit(asyncio.run(main()))
