"""A look into tokens, without verifying them: that is what the libraries are there for."""

import base64
import json
from typing import Any


def claims_of(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


def with_another_claim(token: str) -> str:
    """The same token with another subject, and the signature that it had."""
    header, payload, signature = token.split(".")
    claims = {**claims_of(token), "sub": "mallory"}
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{header}.{payload}.{signature}"
