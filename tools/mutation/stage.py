"""The copy of the code and its tests that mutmut works on: the working tree is never touched."""

import shutil
from pathlib import Path
from typing import Final

import libcst as cst
import libcst.matchers as m

ROOT: Final = Path(__file__).resolve().parents[2]
STAGE: Final = ROOT / ".tools" / "mutation"
PACKAGE: Final = Path("src/ostraka_consumers/trust")
ROOMS: Final = (ROOT / "schemas" / "ostraka_schemas", ROOT / "consumers" / "ostraka_consumers")

NOT_MUTATED: Final = ("__init__.py", "anchored.py")
"""Nothing happens in them: a docstring, a protocol."""

TESTS: Final = ("tests/consumers/trust", "tests/consumers/test_verifier.py", "tests/properties", "tests/corpora")
"""Those that look at the trust core; the quick ones first, for the first that fails ends a mutant."""

LEFT_OUT: Final = (
    "tests/properties/test_never_more_than_allowed.py",
    "tests/consumers/trust/test_denylist.py::test_a_look_up_takes_the_same_path_with_none_and_with_a_hundred_thousand",
    "tests/corpora/test_bad_input.py::test_no_byte_of_a_record_or_heartbeat_can_be_changed_and_no_part_be_missing",
    "tests/corpora/test_bad_input.py::test_no_byte_of_a_token_can_be_changed_and_no_part_be_missing",
    "tests/properties/test_anything.py::test_verify_raises_only_what_it_says",
)
"""The issuer's own; the others are a third of the time of a mutant that lives, and what they alone would notice
is none of the trust core's."""

_SETTINGS: Final = """\
[tool.mutmut]
source_paths = ["src"]
only_mutate = ["{package}/*.py"]
do_not_mutate = [{spared}]
# Texts for people: what is raised is looked at, not every word of it.
do_not_mutate_patterns = ['^\\s*raise \\w+\\(f?"[^"]*"\\)( from \\w+)?$']
pytest_add_cli_args_test_selection = [{tests}]
pytest_add_cli_args = [{left_out}]
timeout_multiplier = 2.0
timeout_constant = 2.0
use_git_change_detection = false
track_dependencies = false

[tool.pytest.ini_options]
asyncio_mode = "auto"
asyncio_default_fixture_loop_scope = "function"
addopts = ["-p", "no:cacheprovider"]
filterwarnings = ["error"]
"""

_CONFTEST: Final = '''\
"""The quickest tests first, whatever order they are asked for in."""

ORDER = ({tests})


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: next(n for n, start in enumerate(ORDER) if item.nodeid.startswith(start)))
'''


def build() -> None:
    """Make the copy anew."""
    shutil.rmtree(STAGE, ignore_errors=True)
    refresh()


def refresh() -> None:
    """Bring the copy up to date; what did not change keeps its time, and so its results."""
    # Which test reaches which function is found out anew: functions may have come, and tests may have changed.
    (STAGE / "mutants" / "mutmut-stats.json").unlink(missing_ok=True)
    quoted = ", ".join(f'"{name}"' for name in TESTS)
    left_out = ", ".join(f'"--deselect={name}"' for name in LEFT_OUT)
    spared = ", ".join(f'"{PACKAGE / name}"' for name in NOT_MUTATED)
    _put(STAGE / "pyproject.toml", _SETTINGS.format(package=PACKAGE, spared=spared, tests=quoted, left_out=left_out))
    for room in ROOMS:
        _copy(room, STAGE / "src" / room.name)
    _copy(ROOT / "tests", STAGE / "tests")
    _put(STAGE / "tests" / "conftest.py", _CONFTEST.format(tests=quoted))


def _copy(source: Path, target: Path) -> None:
    files = {file.relative_to(source) for file in source.rglob("*.py")}
    for left_over in {file.relative_to(target) for file in target.rglob("*.py")} - files:
        (target / left_over).unlink()
    for name in files:
        if target / name == STAGE / "tests" / "conftest.py":
            continue
        text = (source / name).read_text()
        _put(target / name, plain_properties(text) if (target / name).parent == STAGE / PACKAGE else text)


def _put(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists() or file.read_text() != text:
        file.write_text(text)


def plain_properties(source: str) -> str:
    """The same code with every ``@property`` written as a method and ``name = property(name)``.

    mutmut leaves decorated functions alone, and much of what the trust core decides stands in properties.
    """
    return cst.parse_module(source).visit(_PlainProperties()).code


class _PlainProperties(cst.CSTTransformer):
    def leave_IndentedBlock(  # noqa: N802 - libcst names it and its arguments
        self,
        original_node: cst.IndentedBlock,  # noqa: ARG002
        updated_node: cst.IndentedBlock,
    ) -> cst.IndentedBlock:
        body: list[cst.BaseStatement] = []
        for statement in updated_node.body:
            body.append(statement)
            if isinstance(statement, cst.FunctionDef) and m.matches(
                statement, m.FunctionDef(decorators=[m.Decorator(decorator=m.Name("property"))])
            ):
                name = statement.name.value
                body[-1] = statement.with_changes(decorators=[])
                body.append(cst.parse_statement(f"{name} = property({name})"))
        return updated_node.with_changes(body=body)
