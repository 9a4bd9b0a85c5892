"""The pure part of `./run lock`: reading listings, writing the block, saying what differs."""

import tomllib

import pytest

from tools.lock import BEGIN, END, LockError, differences, parse_requirements, read_block, render_block, replace_block

DOCUMENT = f"""\
[tool.uv.workspace]
members = ["a"]   # odd   spacing stays

[tool.uv]
{BEGIN}
constraint-dependencies = [
    "old==1",
]
{END}

[tool.other]
key = 'value'
"""


def test_reads_versions_markers_and_comments() -> None:
    listing = """
# a comment
Zebra==2.0   # via something
colorama==0.4.6 ; sys_platform == 'win32'
aiokafka==0.14.0
aiokafka==0.14.0
"""
    assert parse_requirements(listing) == [
        "aiokafka==0.14.0",
        "colorama==0.4.6 ; sys_platform == 'win32'",
        "zebra==2.0",
    ]


@pytest.mark.parametrize(
    "line", ["aiokafka>=0.14", "-e ./schemas", "x @ file:///somewhere", "--index-url=somewhere", "./consumers"]
)
def test_refuses_what_is_not_an_exact_version(line: str) -> None:
    with pytest.raises(LockError, match="expected name==version"):
        parse_requirements(line)


def test_replaces_the_block_and_nothing_else() -> None:
    block = render_block(["a==1", "b==2 ; sys_platform == 'win32'"], ["hatchling==3"])
    changed = replace_block(DOCUMENT, block)
    head, tail = DOCUMENT[: DOCUMENT.index(BEGIN)], DOCUMENT[DOCUMENT.index(END) + len(END) :]
    assert changed == head + block.removesuffix("\n") + tail
    assert read_block(changed) == (["a==1", "b==2 ; sys_platform == 'win32'"], ["hatchling==3"])
    assert tomllib.loads(changed)["tool"]["other"] == {"key": "value"}
    assert replace_block(changed, block) == changed


def test_an_empty_block_is_valid() -> None:
    assert read_block(replace_block(DOCUMENT, render_block([], []))) == ([], [])


@pytest.mark.parametrize(
    "document",
    [
        "[tool.uv]\n",
        DOCUMENT.replace(END, "# gone"),
        DOCUMENT + f"{BEGIN}\n{END}\n",
        DOCUMENT.replace(BEGIN, "x").replace(END, BEGIN).replace("x", END, 1),
    ],
)
def test_a_document_without_its_markers_is_left_alone(document: str) -> None:
    with pytest.raises(LockError, match=r"pyproject\.toml"):
        replace_block(document, render_block([], []))


def test_says_what_is_missing_and_what_is_stale() -> None:
    assert differences(["a==1", "b==1"], ["a==1", "b==2", "c==1"]) == [
        "missing: b==2",
        "missing: c==1",
        "stale:   b==1",
    ]
    assert differences(["a==1"], ["a==1"]) == []
