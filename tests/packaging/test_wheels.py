"""The three wheels, built and installed as a user would, away from the sources."""

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tools.lock import read_block

ROOT = Path(__file__).resolve().parents[2]
MEMBERS = ("schemas", "consumers", "issuer")
SECONDS = 300

HEAVY = ("alembic", "fastapi", "faststream", "httpx", "rich", "sqlalchemy", "starlette", "typer", "uvicorn")
"""What a service that only verifies must not get."""


def uv(*arguments: str) -> str:
    program = os.environ.get("UV") or shutil.which("uv")
    if program is None:
        pytest.fail("uv was not found; run the tests through `./run test`")
    environment = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    # Away from the workspace: its sources must not be found by accident.
    done = subprocess.run(
        [program, *arguments], cwd="/", env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, f"uv {' '.join(arguments)}:\n{done.stderr}"
    return done.stdout


def python_in(environment: Path, directory: Path, *arguments: str) -> str:
    python = environment / "bin" / "python"
    done = subprocess.run(
        [str(python), "-I", *arguments], cwd=directory, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the three wheels, and the exact versions of everything else."""
    base = tmp_path_factory.mktemp("wheels")
    constraints, build_constraints = read_block((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (base / "constraints.txt").write_text("\n".join(constraints), encoding="utf-8")
    (base / "build-constraints.txt").write_text("\n".join(build_constraints), encoding="utf-8")
    for member in MEMBERS:
        # From a copy: building next to the sources leaves files there.
        source = base / member
        shutil.copytree(ROOT / member, source, ignore=shutil.ignore_patterns("__pycache__"))
        uv(
            "build", "--wheel", "--out-dir", str(base / "dist"), "--python", sys.executable,
            "--build-constraints", str(base / "build-constraints.txt"), str(source),
        )  # fmt: skip
        shutil.rmtree(source)
    return base


def install(wheels: Path, environment: Path, *packages: str) -> None:
    uv("venv", "--python", sys.executable, str(environment))
    uv(
        "pip", "install", "--python", str(environment), "--find-links", str(wheels / "dist"),
        "--constraints", str(wheels / "constraints.txt"), *packages,
    )  # fmt: skip


@pytest.fixture(scope="module")
def verifier(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of a service that only verifies."""
    environment = tmp_path_factory.mktemp("verifier") / "venv"
    install(wheels, environment, "ostraka-schemas", "ostraka-consumers")
    return environment


@pytest.mark.slow
def test_wheels_are_complete(wheels: Path) -> None:
    found = sorted((wheels / "dist").glob("*.whl"))
    assert [wheel.name.split("-")[0] for wheel in found] == ["ostraka_consumers", "ostraka_issuer", "ostraka_schemas"]
    for wheel in found:
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
            package = wheel.name.split("-")[0]
            assert f"{package}/py.typed" in names
            assert [name for name in names if name.endswith("licenses/LICENSE")]
            assert {name.split("/")[0].split("-")[0] for name in names} == {package}
            metadata = archive.read(next(name for name in names if name.endswith(".dist-info/METADATA"))).decode()
        assert "License-Expression: Apache-2.0" in metadata
        assert "Requires-Python: >=3.11" in metadata


@pytest.mark.slow
def test_what_is_in_the_sources_is_in_the_wheels(wheels: Path) -> None:
    for member in MEMBERS:
        package = f"ostraka_{member}"
        sources = {
            path.relative_to(ROOT / member).as_posix()
            for path in (ROOT / member / package).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        with zipfile.ZipFile(next((wheels / "dist").glob(f"{package}-*.whl"))) as archive:
            assert sources <= set(archive.namelist())


@pytest.mark.slow
def test_the_verifier_comes_alone(verifier: Path, tmp_path: Path) -> None:
    python_in(verifier, tmp_path, "-c", "import ostraka_consumers, ostraka_schemas")
    python_in(verifier, tmp_path, "-c", "import aiokafka")
    looked_up = python_in(
        verifier, tmp_path, "-c",
        f"import importlib.util as u; print(*[n for n in {HEAVY!r} if u.find_spec(n)])",
    )  # fmt: skip
    assert looked_up.split() == []


@pytest.mark.slow
def test_the_verifier_comes_from_the_wheel(verifier: Path, tmp_path: Path) -> None:
    where = python_in(verifier, tmp_path, "-c", "import ostraka_consumers as c; print(c.__file__)")
    assert Path(where.strip()).is_relative_to(verifier)


@pytest.mark.slow
def test_the_command_runs(wheels: Path, tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    install(wheels, environment, "ostraka-issuer")
    python_in(environment, tmp_path, "-c", "import ostraka_issuer")
    package = ROOT / "issuer" / "ostraka_issuer"
    if not (package / "cli.py").exists() and not (package / "cli").exists():
        pytest.skip("ostraka_issuer.cli does not exist yet")
    done = subprocess.run(
        [str(environment / "bin" / "ostraka"), "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "revoke" in done.stdout


def test_members_name_one_version_of_each_other() -> None:
    projects = {
        member: tomllib.loads((ROOT / member / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        for member in MEMBERS
    }
    versions = {project["name"]: project["version"] for project in projects.values()}
    assert len(set(versions.values())) == 1
    for project in projects.values():
        for requirement in project["dependencies"]:
            if requirement.startswith("ostraka-"):
                name, _, version = requirement.partition("==")
                assert version == versions[name.split("[")[0]], requirement
