"""Where a request comes from. What a header says counts only if a proxy that was named by the operator wrote it.

``X-Forwarded-For`` grows at its right end. So it is read from there, past the proxies that are known, to the first
address that none of them has: what stands further left anybody may have written.
"""

import ipaddress
from collections.abc import Sequence

from fastapi import Request

from ostraka_issuer.limits import FORWARDED_MAX

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def caller_address(request: Request, trusted: Sequence[str]) -> str | None:
    """The address of whoever asks; ``None`` if the server does not know (a Unix socket).

    Args:
        trusted: networks of proxies whose word is taken.
    """
    peer = None if request.client is None else request.client.host
    return forwarded(peer, request.headers.getlist("x-forwarded-for"), trusted)


def forwarded(peer: str | None, fields: Sequence[str], trusted: Sequence[str]) -> str | None:
    """The address that ``peer`` speaks for.

    Args:
        fields: values of ``X-Forwarded-For``, in order.
    """
    networks = [ipaddress.ip_network(network) for network in trusted]
    named = [part.strip() for field in fields for part in field.split(",")][-FORWARDED_MAX:]
    address = peer
    while named and address is not None and _is_in(address, networks):
        candidate = _address(named.pop())
        if candidate is None:
            return address  # no address: the proxy does not know either, or did not write it
        address = candidate
    return address


def _is_in(address: str, networks: Sequence[Network]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
