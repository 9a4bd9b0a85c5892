"""``ostraka root new``: draft the next root document."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from ostraka_issuer.home import read_json
from ostraka_issuer.keys.sealed import KeyUse
from ostraka_issuer.limits import ROOT_LIFETIME, ROOT_LIFETIME_MAX
from ostraka_issuer.roots.draft import Changes, next_root
from ostraka_issuer.roots.publish import Chain, open_chain
from ostraka_issuer.settings import load_settings
from ostraka_schemas.errors import WireError
from ostraka_schemas.jwk import SigningKey, VerificationKey
from ostraka_schemas.limits import MAX_STALENESS, ROOT_KEYS_MAX, TOKEN_KEYS_MAX, TOKEN_LIFETIME_MAX
from ostraka_schemas.root import FEED_ALGORITHM, RootDocument, draft_root

from .guard import CommandError, guarded
from .options import HOME_DEFAULT, HomePath, Json
from .output import Output
from .root_text import members_of, store_document, table_of

_DAY = 24 * 3_600


@guarded
def new(
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where to write it. [default: root-VERSION.json]")
    ] = None,
    new_epoch: Annotated[
        bool, typer.Option("--new-epoch", help="Cut off everyone: the feed key was stolen, or a backup was restored.")
    ] = False,
    rotate_feed_key: Annotated[
        bool, typer.Option("--rotate-feed-key", help="Make a new feed key, sealed in this home, and name it instead.")
    ] = False,
    add_root_key: Annotated[
        list[Path], typer.Option("--add-root-key", metavar="FILE", help="A public key (`ostraka root key`); repeat.")
    ] = [],  # noqa: B006 - read only, and what typer asks for
    remove_root_key: Annotated[
        list[str], typer.Option("--remove-root-key", metavar="KID", help="A root key that leaves; repeat.")
    ] = [],  # noqa: B006
    threshold: Annotated[
        int | None, typer.Option("--threshold", min=1, max=ROOT_KEYS_MAX, help="How many root keys must sign.")
    ] = None,
    days: Annotated[
        int, typer.Option("--days", min=1, max=ROOT_LIFETIME_MAX // _DAY, help="Until it must be renewed.")
    ] = ROOT_LIFETIME // _DAY,
    token_lifetime: Annotated[
        int | None, typer.Option("--token-lifetime", min=1, max=TOKEN_LIFETIME_MAX, help="Limit: of a token, seconds.")
    ] = None,
    token_key_days: Annotated[
        int | None, typer.Option("--token-key-days", min=1, max=366, help="Limit: of a token key, days.")
    ] = None,
    token_keys: Annotated[
        int | None, typer.Option("--token-keys", min=1, max=TOKEN_KEYS_MAX, help="Limit: token keys at once.")
    ] = None,
    token_algorithm: Annotated[
        list[str], typer.Option("--token-algorithm", help="Limit: ES256, EdDSA, RS256, PS256; repeat for more.")
    ] = [],  # noqa: B006
    heartbeat_interval: Annotated[
        int | None, typer.Option("--heartbeat-interval", min=1, max=MAX_STALENESS, help="Limit: seconds.")
    ] = None,
    max_staleness: Annotated[
        int | None, typer.Option("--max-staleness", min=1, max=3_600, help="Limit: seconds without news.")
    ] = None,
    late: Annotated[
        int | None, typer.Option("--late", min=0, max=30 * _DAY, help="How late events may be handled, seconds.")
    ] = None,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Draft the next root document: the newest one with a new date, and what is asked for. It counts once it is signed.

    Examples:

        ostraka root new

        ostraka root new --rotate-feed-key --new-epoch

        ostraka root new --add-root-key b.json --add-root-key c.json --threshold 2
    """
    limits = {
        "token_lifetime": token_lifetime,
        "token_key_lifetime": None if token_key_days is None else token_key_days * _DAY,
        "token_keys": token_keys,
        "token_algorithms": token_algorithm or None,
        "heartbeat_interval": heartbeat_interval,
        "max_staleness": max_staleness,
        "late": late,
    }
    feed_key = SigningKey.generate(FEED_ALGORITHM) if rotate_feed_key else None
    changes = Changes(
        new_epoch=new_epoch,
        feed_key=None if feed_key is None else feed_key.public,
        add=[_public_key(path) for path in add_root_key],
        remove=remove_root_key,
        threshold=threshold,
        lifetime=days * _DAY,
        limits={name: value for name, value in limits.items() if value is not None},
    )

    async def work() -> tuple[RootDocument, Path, dict[str, Any]]:
        async with open_chain(load_settings(home=home)) as chain:
            document = next_root(chain.newest, changes, now=int(chain.now))
            path = out or Path(f"root-{document.version}.json")
            await _write(chain, document, path, feed_key)
            return chain.newest, path, draft_root(document)

    current, path, value = asyncio.run(work())
    output = Output(as_json)
    output.result({"file": str(path), **members_of(value, current)}, table_of(value, current), _next_step(path))
    if rotate_feed_key:
        output.note("The new feed key is in this home and nowhere else: back it up when the document is published.")
    elif new_epoch:
        output.note("The feed key stays. If it was stolen, draft anew with --rotate-feed-key.")


async def _write(chain: Chain, document: RootDocument, path: Path, feed_key: SigningKey | None) -> None:
    if await asyncio.to_thread(path.exists):
        raise CommandError(f"{path} is there already; choose another with --out, or remove it first")
    if feed_key is not None:
        # Before the draft: no document names a key that is not here.
        await chain.keys().save(KeyUse.FEED, feed_key)
    await asyncio.to_thread(store_document, path, draft_root(document))


def _public_key(path: Path) -> VerificationKey:
    try:
        return VerificationKey.from_jwk(read_json(path), alg=FEED_ALGORITHM)
    except WireError as error:
        raise CommandError(f"{path} is no public root key: {error}") from error


def _next_step(path: Path) -> Text:
    return Text(f"\nThe draft is in {path}. Where the root key is:  ostraka root sign {path} --key root.pem")
