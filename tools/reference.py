"""Write the reference pages that follow from the code: ``python -m tools.reference [--check]``.

    docs/reference/schemas/<name>.json   JSON Schema of each thing that travels
    docs/reference/wire.md               which event is which, and what it can be about
    docs/reference/asyncapi.json         the topics, for tools that read AsyncAPI
    docs/reference/metrics.md            what Prometheus can ask for
    docs/reference/settings.md           what can be set, and how
    docs/reference/http.md               every door of the issuer, and what it asks for
    docs/reference/openapi.json          the same for tools that read OpenAPI

With ``--check`` nothing is written; the exit code is 1 if a page is out of date, missing or left over.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from ostraka_consumers.integrations import prometheus
from ostraka_consumers.integrations.fastapi import Requirement
from ostraka_issuer import asyncapi
from ostraka_issuer.configuration.describe import Setting, settings_of
from ostraka_issuer.http.app import API_DOORS, FEED_DOORS, create_app
from ostraka_issuer.observability.families import LOOKED_AT
from ostraka_issuer.observability.metrics import COUNTED
from ostraka_issuer.settings import IssuerSettings
from ostraka_schemas import claims, events, records, root

ROOT: Final = Path(__file__).resolve().parent.parent
PAGES: Final = Path("docs/reference")
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

MODELS: Final[Mapping[str, type[BaseModel]]] = {
    "access-token": claims.AccessTokenClaims,
    "feed-record": records.RecordPayload,
    "heartbeat": records.HeartbeatPayload,
    "root-document": root.RootDocument,
    **{f"event-{uri.rsplit('/', 1)[-1].rsplit(':', 1)[-1]}": kind for uri, kind in events.EVENTS.items()},
}


def schema(model: type[BaseModel]) -> str:
    """The JSON Schema of one model, as text."""
    return _json({"$schema": DIALECT, **model.model_json_schema()})


def wire_page() -> str:
    """The table of events."""
    lines = [
        "# What travels",
        "",
        "Written by `./run docs` from `ostraka_schemas`; edit there.",
        "",
        "| event | can be about | what it does | schema |",
        "|---|---|---|---|",
    ]
    for uri, kind in events.EVENTS.items():
        name = f"event-{uri.rsplit('/', 1)[-1].rsplit(':', 1)[-1]}"
        subjects = ", ".join(f"`{subject.model_fields['format'].default}`" for subject in kind.subjects)
        effect = (kind.__doc__ or "").splitlines()[0]
        lines.append(f"| `{uri}` | {subjects} | {effect} | [{name}](schemas/{name}.json) |")
    others = ", ".join(f"[{name}](schemas/{name}.json)" for name in MODELS if not name.startswith("event-"))
    return "\n".join([*lines, "", f"The envelopes and documents around them: {others}.", ""])


def metrics_page() -> str:
    """The tables of metrics."""
    counted = [(row.name, row.kind, row.labels, row.help) for row in COUNTED]
    looked_at = [(row.name, row.kind, (), row.help) for row in LOOKED_AT]
    verifier = [(row.name, row.kind, row.labels, row.help) for row in prometheus.FAMILIES]
    return "\n".join(
        [
            "# Metrics",
            "",
            "Written by `./run docs` from `ostraka_issuer.observability` and from",
            "`ostraka_consumers.integrations.prometheus`; edit there.",
            "What to do with them: [monitoring](../how-to/monitoring.md).",
            "",
            "No label comes from a request or a token; each has a bounded set of values.",
            "",
            "## The issuer",
            "",
            "`GET /metrics`, with those of its own verifier, below, and the `process_…` metrics of the client library.",
            "What is not known is absent; what only the process that writes the feed knows, only that one shows.",
            "",
            *_metrics([*counted, *looked_at]),
            "",
            "## A verifier",
            "",
            "Wherever `VerifierCollector(verifier)` is registered.",
            "",
            *_metrics(verifier),
            "",
        ]
    )


def _metrics(rows: Iterable[tuple[str, str, tuple[str, ...], str]]) -> list[str]:
    lines = [
        f"| `{name}` | {kind} | {' '.join(f'`{label}`' for label in labels)} | {text} |"
        for name, kind, labels, text in rows
    ]
    return ["| name | kind | labels | meaning |", "|---|---|---|---|", *lines]


def topics_page() -> str:
    """The AsyncAPI document of the topics."""
    return _json(json.loads(asyncapi.app.schema.to_specification().to_json()))


def doors_document() -> str:
    """The OpenAPI document of the issuer."""
    return _json(create_app(IssuerSettings()).openapi())


def doors_page() -> str:
    """The table of the issuer's doors."""
    lines = [
        "# The issuer over HTTP",
        "",
        "Written by `./run docs` from `ostraka_issuer.http`; edit there. The running issuer serves the whole document",
        "at `/openapi.json` ([a copy](openapi.json)). An error is a problem document (RFC 9457); of `/token`,",
        "`/revoke` and `/introspect` one in the words of RFC 6749 §5.2. Each answer carries an `X-Request-ID`,",
        "each refusal that passes by itself a `Retry-After`.",
        "",
        "| door | what it does | needs the permission |",
        "|---|---|---|",
    ]
    for router in (*FEED_DOORS, *API_DOORS):
        lines += [_door(route) for route in router.routes if isinstance(route, APIRoute) and route.include_in_schema]
    return "\n".join([*lines, ""])


def _door(route: APIRoute) -> str:
    asked = [f"`{needs.permissions}`" for needs in _guards(route.dependant) if needs.permissions]
    return f"| `{' '.join(sorted(route.methods or ()))} {route.path}` | {route.summary} | {', '.join(asked)} |"


def _guards(dependant: Dependant) -> Iterable[Requirement]:
    for inner in dependant.dependencies:
        if isinstance(inner.call, Requirement):
            yield inner.call
        yield from _guards(inner)


def settings_page() -> str:
    """The table of settings."""
    lines = [
        "# Settings of the issuer",
        "",
        "Written by `./run docs` from `ostraka_issuer.settings`; edit there.",
        "",
        "Each can be given by the environment under the name in the first column, or in a TOML file in small letters",
        "and without the prefix: `--config FILE` of every command, or `OSTRAKA_CONFIG`. Options win over the",
        "environment, the environment over the file, the file over the defaults. Unknown names and wrong values are",
        "refused at start, all of them at once. `ostraka config show` says what is in force and where it comes from.",
        "",
        "| variable | what it does | allowed | default |",
        "|---|---|---|---|",
    ]
    lines += [_settings_row(setting) for setting in settings_of(IssuerSettings).values()]
    return "\n".join([*lines, "", "A secret is never shown, logged, or repeated in an error.", ""])


def _settings_row(setting: Setting) -> str:
    default = "" if setting.default is None else f"`{setting.default}`"
    allowed = f"{setting.allowed}, secret" if setting.secret else setting.allowed
    return f"| `{setting.variable}` | {setting.text.replace('``', '`')} | {allowed} | {default} |"


def pages() -> dict[Path, str]:
    """Every generated page, by its path below the repository's root."""
    schemas = {PAGES / "schemas" / f"{name}.json": schema(model) for name, model in MODELS.items()}
    return {
        **schemas,
        PAGES / "wire.md": wire_page(),
        PAGES / "asyncapi.json": topics_page(),
        PAGES / "metrics.md": metrics_page(),
        PAGES / "settings.md": settings_page(),
        PAGES / "http.md": doors_page(),
        PAGES / "openapi.json": doors_document(),
    }


def out_of_date(base: Path = ROOT) -> list[str]:
    """What differs between the pages on disk and the code, in words."""
    wanted = pages()
    found = []
    for path, text in wanted.items():
        file = base / path
        if not file.exists():
            found.append(f"{path} is missing")
        elif file.read_text() != text:
            found.append(f"{path} is out of date")
    left_over = {file.relative_to(base) for file in (base / PAGES / "schemas").glob("*.json")} - wanted.keys()
    return found + [f"{path} is left over" for path in sorted(left_over)]


def write(base: Path = ROOT) -> None:
    """Write every page, and remove schemas of what no longer exists."""
    wanted = pages()
    for file in (base / PAGES / "schemas").glob("*.json"):
        if file.relative_to(base) not in wanted:
            file.unlink()
    for path, text in wanted.items():
        (base / path).parent.mkdir(parents=True, exist_ok=True)
        (base / path).write_text(text)


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Run as a command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="tools.reference", description="Write the generated reference pages.")
    parser.add_argument("--check", action="store_true", help="only say what is out of date; exit 1 if anything is")
    if parser.parse_args(arguments).check:
        found = out_of_date()
        for line in found:
            print(f"{line}: run ./run docs", file=sys.stderr)
        return 1 if found else 0
    write()
    print(f"{len(pages())} pages written below {PAGES}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
