"""Everything a verifier's decisions rest on, in one comparable value."""

from typing import Any

from ostraka_consumers import Verifier


def state_fingerprint(verifier: Verifier) -> dict[str, Any]:
    """Head, what is held, keys, deny list, cut-offs, narrowings, alarms, and what freshness is worked out from.

    Left out is when an entry may be forgotten: by then no token it could meet is alive.
    """
    core = verifier.core
    state, chain, vouching = core.state, core._chain, core._vouching
    return {
        "ready": verifier._ready,
        "root": core.root_version,
        "head": core.head,
        "known head": core.known_head,
        "held": None if chain is None else sorted((seq, held.hash) for seq, held in chain._held.items()),
        "evidence": core.evidence,
        "keys": [(key.key, dict(key.key.jwk), key.state, key.nbf, key.exp) for key in core.keys.keys],
        "compromised": core.keys.compromised,
        "denied": None if state is None else frozenset().union(*state.denied._sets),
        "cut-offs": None if state is None else {key: found[0] for key, found in state.cutoffs._latest.items()},
        "remaining": None
        if state is None
        else {key: [(n.moment, n.patterns) for n in left] for key, left in state.narrowings._remaining.items()},
        "revoked": None if state is None else [(n.moment, n.patterns) for n in state.narrowings._revoked],
        "skipped": None if state is None else state.skipped,
        "alarms": frozenset(core.alarms),
        "vouched at": vouching.vouched_at,
        "heard": (vouching.heard_at, vouching.heard_of),
        "ahead": None if vouching.ahead is None else vouching.ahead.raw,
        "doubted": vouching.doubted,
        "now": core.now(verifier.clock.now()),
    }
