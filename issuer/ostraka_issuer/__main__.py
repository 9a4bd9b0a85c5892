"""``python -m ostraka_issuer`` is the command ``ostraka``."""

from ostraka_issuer.cli import app

app(prog_name="ostraka")
