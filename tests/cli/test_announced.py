"""What the commands say of what was committed, and how they end."""

import pytest
import typer

from ostraka_issuer.api_client import Announced
from ostraka_issuer.cli.announced import document_of, end, progress_of
from ostraka_issuer.cli.exits import Exit
from ostraka_issuer.cli.output import Output
from ostraka_issuer.cli.revoke import _sentence

OUTPUT = Output(as_json=False)


def announced(*, seq: int | None, published: bool, **rest: int) -> Announced:
    return Announced("txn", 1_800_000_000.0, 0 if seq is None else 1, seq, published, rest)


def test_on_the_bus() -> None:
    done = announced(seq=8, published=True)
    assert progress_of(done) == "committed at feed position 1:8, and on the bus"
    assert document_of(done)["published"] is True
    end(done, OUTPUT)


@pytest.mark.parametrize(
    ("seq", "said"), [(8, "committed at feed position 1:8; the broker has not taken it yet"), (None, "without a place")]
)
def test_not_on_the_bus(seq: int | None, said: str) -> None:
    done = announced(seq=seq, published=False)
    assert said in progress_of(done)
    assert document_of(done)["published"] is False
    with pytest.raises(typer.Exit) as exit_:
        end(done, OUTPUT)
    assert exit_.value.exit_code == Exit.NOT_READY


@pytest.mark.parametrize(
    ("grants", "said"), [(0, "nobody held it"), (1, "1 grant taken away"), (2, "2 grants taken away")]
)
def test_a_permission_says_from_how_many_it_was_taken(grants: int, said: str) -> None:
    done = announced(seq=8, published=True, grants_removed=grants)
    assert said in _sentence(done, "permission a:b", "permission").plain
    assert said not in _sentence(done, "alice", "subject").plain
