"""The sources of settings: arguments, the environment, a TOML file. Each is read whole and judged with the others."""

import contextvars
import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic_settings import BaseSettings, EnvSettingsSource

from ostraka_issuer.errors import SetupError
from ostraka_issuer.limits import CONFIG_FILE_MAX_BYTES

PREFIX: Final = "OSTRAKA_"
FILE_VARIABLE: Final = "OSTRAKA_CONFIG"

_OTHERS: Final = frozenset(
    {FILE_VARIABLE, *(PREFIX + name for name in ("ANCHOR", "HYPOTHESIS", "PASSWORD", "ROOT_PASSPHRASE", "TRACEBACK"))}
)
"""Variables that commands read and that are no settings."""

_NOT_OURS: Final = re.compile(
    # Kubernetes tells every container of a Service named ostraka, or ostraka-…, in variables that look like ours.
    r"OSTRAKA(_\w+)?_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)|OSTRAKA_PORT"
    r"|OSTRAKA_(TEST|REQUIRE)_\w+"
)

_file: contextvars.ContextVar[Path | None] = contextvars.ContextVar("ostraka_config_file", default=None)


_read_once: Final[dict[tuple[int, int], bytes]] = {}
"""What came out of the pipe that was read last, by its device and inode."""


@dataclass(frozen=True, slots=True)
class Layer:
    """What one source says.

    Attributes:
        kind: ``argument``, ``environment`` or ``file``.
        values: by the setting's name, as they were found. Not shown: secrets are among them.
        path: of a file.
    """

    kind: str
    values: Mapping[str, Any] = field(repr=False)
    path: Path | None = None

    def place_of(self, name: str) -> str:
        """Where the value of a setting stands, for people."""
        if self.kind == "environment":
            return variable_of(name)
        return str(self.path) if self.path is not None else self.kind


def variable_of(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def arguments(values: Mapping[str, Any]) -> Layer:
    """What a command or a caller was given; ``None`` means that it was not."""
    return Layer("argument", {name: value for name, value in values.items() if value is not None})


def environment(model: type[BaseSettings]) -> Layer:
    """The variables ``OSTRAKA_…`` that are set for this model."""
    return Layer("environment", EnvSettingsSource(model)())


def stray_variables(known: Mapping[str, Any]) -> list[str]:
    """Variables that look like settings and are none, sorted: most likely a slip of the pen."""
    names = {variable_of(name) for name in known} | _OTHERS
    ours = (name for name in os.environ if name.upper().startswith(PREFIX))
    return sorted(name for name in ours if name.upper() not in names and not _NOT_OURS.fullmatch(name.upper()))


@contextmanager
def using(path: Path | None) -> Iterator[None]:
    """Read settings from this file too while the context is open; ``None``: from the one that the variable names."""
    token = _file.set(path)
    try:
        yield
    finally:
        _file.reset(token)


def chosen_file() -> Path | None:
    """The settings file in use, if there is one."""
    chosen = _file.get()
    if chosen is None and os.environ.get(FILE_VARIABLE):
        chosen = Path(os.environ[FILE_VARIABLE])
    return None if chosen is None else chosen.expanduser()


def file(path: Path) -> Layer:
    """The file's settings. Blocks.

    Raises:
        SetupError: it cannot be read, is no TOML, or is longer than any such file.
    """
    content = _content(path)
    try:
        values = tomllib.loads(content.decode())
    except tomllib.TOMLDecodeError as error:
        # Its message names what is wrong, and where; later versions of it hold the whole document as well.
        raise SetupError(f"{path} is not TOML: {error}") from None
    except UnicodeDecodeError:
        raise SetupError(f"{path} is not TOML: it is not UTF-8") from None
    except RecursionError:
        raise SetupError(f"{path} is not TOML: it is nested too deeply") from None
    return Layer("file", values, path)


def _content(path: Path) -> bytes:
    """What a file holds, or what comes out of a pipe: that once, and then the same for whoever asks again."""
    try:
        about = path.stat()
        # A command reads its settings more than once, and a pipe cannot even be opened again. The pipe itself is the
        # key: the next one of the same name, such as /dev/fd/63, is another.
        once = None if stat.S_ISREG(about.st_mode) else (about.st_dev, about.st_ino)
        content = None if once is None else _read_once.get(once)
        if content is None:
            with path.open("rb") as opened:
                content = opened.read(CONFIG_FILE_MAX_BYTES + 1)
    except OSError as error:
        raise SetupError(f"cannot read the settings file {path}: {error.strerror}") from error
    if len(content) > CONFIG_FILE_MAX_BYTES:
        raise SetupError(f"{path}: a settings file has at most {CONFIG_FILE_MAX_BYTES} bytes")
    if once is not None:
        _read_once.clear()  # One command has one of them.
        _read_once[once] = content
    return content


def is_open_to_all(path: Path) -> bool:
    """Whether anybody on this machine may read or write the file."""
    return os.name == "posix" and bool(path.stat().st_mode & stat.S_IRWXO)
