"""A temporary directory for a stack: its logs are kept if something goes wrong, and only then."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .output import Output


class Workplace:
    """Where it is, and whether it is to stay."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.keep = False


@contextmanager
def workplace(name: str, output: Output) -> Iterator[Workplace]:
    """A directory for the block; what is in it stays if an error leaves the block or somebody sets ``keep``."""
    place = Workplace(Path(tempfile.mkdtemp(prefix=f"ostraka-{name}-")))
    try:
        yield place
    except Exception:
        place.keep = True
        raise
    finally:
        if place.keep and any(place.path.iterdir()):
            output.note(f"the logs of every process are in {place.path}")
        else:
            shutil.rmtree(place.path, ignore_errors=True)
