"""``ostraka root``: which keys sign the feed, and within what limits; decided by the root keys, which are elsewhere."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from ostraka_issuer.feed.expiry import warning
from ostraka_issuer.home import Home
from ostraka_issuer.roots.publish import Chain, open_chain
from ostraka_issuer.settings import load_settings
from ostraka_schemas.root import RootDocument, read_root_bytes

from . import root_key, root_new, root_sign
from .guard import guarded
from .options import HOME_DEFAULT, HomePath, Json
from .output import Output, headed
from .root_text import load_document, members_of, table_of, when
from .words import OPTIONS

app = typer.Typer(
    help="""Root documents: which keys may sign the feed, and within what limits. The root keys sign them, elsewhere.

Examples:

    ostraka root show

    ostraka root new --rotate-feed-key --new-epoch

    ostraka root sign root-2.json --key /media/stick/root.pem

    ostraka root publish root-2.json
""",
    no_args_is_help=True,
    **OPTIONS,
)


@app.command()
@guarded
def show(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="A document or draft. [default: the chain of this home]")
    ] = None,
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Show the chain of this home, or a file: what it says, who has signed it and who is missing.

    Examples:

        ostraka root show

        ostraka root show root-2.json
    """
    if file is not None:
        value = load_document(file)
        # A home is not needed: a file can be shown anywhere.
        current = asyncio.run(_newest(home)) if Home(home.expanduser()).anchor.exists() else None
        Output(as_json).result(members_of(value, current), table_of(value, current))
        return
    asyncio.run(_show_chain(home, Output(as_json)))


async def _newest(path: Path) -> RootDocument:
    async with open_chain(load_settings(home=path)) as chain:
        return chain.newest


async def _show_chain(path: Path, output: Output) -> None:
    async with open_chain(load_settings(home=path)) as chain:
        rows = list(_rows(chain))
    table = headed("VERSION", "EPOCH", "IN THE FEED AT", "UNTIL")
    for row in rows:
        table.add_row(str(row["version"]), str(row["epoch"]), row["position"] or "not yet", when(row["exp"]))
    value = read_root_bytes(chain.stored[-1].raw)
    before = chain.documents[-2] if len(chain.documents) > 1 else None
    ends = warning(chain.newest, chain.now)
    document = {"home": str(chain.home.path), "versions": rows, "newest": members_of(value, before), "warning": ends}
    notes = [Text(f"\n{ends}", style="yellow")] if ends else []
    output.result(document, table, "", table_of(value, before), *notes)


def _rows(chain: Chain) -> list[dict[str, Any]]:
    documents = {document.version: document for document in chain.documents}
    return [
        {
            "version": root.version,
            "epoch": documents[root.version].epoch,
            "position": None if root.position is None else str(root.position),
            "iat": documents[root.version].iat,
            "exp": documents[root.version].exp,
        }
        for root in chain.stored
        if root.version in documents
    ]


@app.command()
@guarded
def publish(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The signed document.")],
    home: HomePath = HOME_DEFAULT,
    as_json: Json = False,
) -> None:
    """Check a signed document as every verifier will, and commit it. A running issuer takes it within a second.

    Example:

        ostraka root publish root-2.json
    """
    value = load_document(file)

    async def work() -> dict[str, Any]:
        async with open_chain(load_settings(home=home)) as chain:
            done = await chain.publish(value)
        return {
            "version": done.document.version,
            "epoch": done.document.epoch,
            "new_epoch": done.new_epoch,
            "txn": done.txn,
            "new_anchor": done.new_anchor,
            "anchor": str(chain.home.anchor),
        }

    done = asyncio.run(work())
    text = Text.assemble((f"version {done['version']}", "bold"), " is committed; a running issuer takes it at once")
    if done["new_epoch"]:
        text.append(f"\nepoch {done['epoch']}: every older token is refused, clients refresh theirs.")
    if done["new_anchor"]:
        text.append(
            f"\nServices that are deployed from now on get the new {done['anchor']}:"
            "\nthe former one still trusts who could sign before"
        )
    Output(as_json).result(done, text)


app.command("new")(root_new.new)
app.command("sign")(root_sign.sign)
app.command("key")(root_key.key)
