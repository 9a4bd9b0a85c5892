"""What is shown may have been written by anybody."""

import pytest
from rich.text import Text

from ostraka_issuer.cli.output import Output, pairs, printable


@pytest.mark.parametrize("steering", ["\x1b[31m", "\x1b]0;title\x07", "\r", "\x9b2J", "\u202e", "\u2066", "\x00"])
def test_nothing_steers_the_terminal(steering: str, capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(as_json=False)
    output.result({}, f"reason {steering}", Text(f"reason {steering}"), pairs(("reason", steering)))
    output.note(f"reason {steering}")
    shown = capsys.readouterr()
    for character in steering:
        if not character.isprintable():
            assert character not in shown.out + shown.err
    assert shown.out.count("reason") == 3


@pytest.mark.parametrize("text", ["stock-taking", "Räumung", "在庫", "two\nlines\tand a tab", "✓ “quoted”"])
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


def test_styles_stay_where_they_are() -> None:
    text = Text.assemble(("\x1bx", "bold"), "y")
    Output(as_json=False).show(text)
    assert (text.plain, [(span.start, span.end) for span in text.spans]) == (
        "\N{REPLACEMENT CHARACTER}x" + "y",
        [(0, 2)],
    )
