"""Which bytes go into which file of the directory. Used by one thread at a time; it waits for the disk."""

import errno
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import Any, BinaryIO, Final

from ostraka_consumers.anchor import TrustAnchor
from ostraka_consumers.errors import ConfigurationError
from ostraka_consumers.limits import STATE_READ_BYTES, STATE_READ_FRAMES
from ostraka_consumers.trust.receipt import Kind, Taken
from ostraka_schemas import strict_json
from ostraka_schemas.errors import MalformedError, WireError
from ostraka_schemas.limits import ROOT_VERSIONS_MAX, SEQ_MAX
from ostraka_schemas.records import Position
from ostraka_schemas.root import read_root_bytes, version_unverified

from . import files, frames
from .journal import Journal
from .lock import Lock

_DEPLOYED_WRONG: Final = frozenset(
    {errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG}
)


class Store:
    """The files of one state directory.

    Args:
        anchor: whose feed the position is one of. Without it, any position is good.

    Attributes:
        tail: how far the snapshot and the journal lead; ``None`` while they lead nowhere, and nothing is appended.
    """

    def __init__(self, directory: Path, anchor: TrustAnchor | None = None) -> None:
        self.directory: Final = directory
        self.tail: Position | None = None
        self._roots: Final = directory / "roots"
        self._snapshot: Final = directory / "snapshot"
        self._position: Final = directory / "position"
        self._records: Final = directory / "journal"
        self._journal: Final = Journal(self._records)
        self._lock: Final = Lock(directory)
        self._anchor: Final = anchor
        self._known_roots: dict[int, bytes] | None = None

    # --- life --------------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Make the directory and lock it; nothing happens if it is locked already.

        Raises:
            ConfigurationError: it can never be used as configured, or another verifier is using it.
            OSError: the disk fails.
        """
        if self._lock.is_held:
            return
        self._known_roots = None
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock.take()
        except BlockingIOError as error:
            raise ConfigurationError(
                f"another verifier is using the state directory {self.directory}: give each its own"
            ) from error
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno not in _DEPLOYED_WRONG:
                raise
            reason = error.strerror if isinstance(error, OSError) else error
            raise ConfigurationError(
                f"cannot use the state directory {self.directory}: {reason}; name one that this user may write to"
            ) from error

    def close(self) -> None:
        """Let go of everything."""
        self._journal.close()
        self._lock.release()

    # --- reading -----------------------------------------------------------------------------------------------------

    def read_position(self) -> Position | None:
        """How far the feed was applied when that was last written down.

        ``None`` if that cannot be read, or was a feed of another issuer, or of one of the same name that had none of
        the root keys of this anchor: that position need never be reached.

        Raises:
            OSError
        """
        with Reader(self._position, frames.POSITION) as reader:
            found = reader.batch(1)
        return _read_position(found[0].payload, self._anchor) if found else None

    def read_roots(self) -> list[bytes]:
        """The root documents, oldest first.

        Raises:
            OSError
        """
        with Reader(self._roots, frames.ROOTS) as reader:
            return [found.payload for found in reader.batch(ROOT_VERSIONS_MAX, bytes_max=None)]

    def read_snapshot(self) -> "Reader":
        """The parts of the snapshot and the heartbeat that vouched for it."""
        return Reader(self._snapshot, frames.SNAPSHOT)

    def read_journal(self) -> "Reader":
        """What took effect after that: records, and root documents that came alone."""
        return Reader(self._records, frames.JOURNAL)

    def go_on(self, tail: Position | None, length: int, frames: int) -> None:
        """Say what of it was good: it leads to ``tail``, with so much of the journal."""
        self.tail = tail
        self._journal.go_on(length, frames)

    # --- writing -----------------------------------------------------------------------------------------------------

    def keep(self, items: Sequence[Taken]) -> None:
        """Write down what took effect. May be called again with the same after a failure.

        Raises:
            OSError: some of it is not written.
        """
        for kind, row in groupby(items, lambda item: item.kind):
            if kind is Kind.ROOT:
                self._keep_roots([item.raws[0] for item in row])
                continue
            for item in row:
                self._keep_one(item)

    def _keep_one(self, item: Taken) -> None:
        if item.position is not None:
            match item.kind:
                case Kind.SNAPSHOT:
                    self._keep_snapshot(item.raws, item.position)
                case Kind.RECORD:
                    self._keep_record(item.raws[0], item.position)

    def note(self, position: Position) -> None:
        """Make durable what was kept, and write down how far the feed is applied; what is written only ever grows.

        Raises:
            OSError
        """
        self._journal.sync()
        try:
            before = self.read_position()
        except OSError:
            before = None
        if before is None or before < position:
            self._write_position(position)

    def _write_position(self, position: Position) -> None:
        content: dict[str, Any] = position._asdict()
        if self._anchor is not None:
            content |= {"issuer": self._anchor.issuer, "root_thumbprints": list(self._anchor.root_thumbprints)}
        files.replace(self._position, frames.document(frames.POSITION, [strict_json.dumps(content)]))

    def _keep_roots(self, raws: Sequence[bytes]) -> None:
        known = _by_version(self.read_roots()) if self._known_roots is None else self._known_roots
        fresh = {version: raw for version, raw in _by_version(raws).items() if known.get(version) != raw}
        if fresh:
            # All at once, as the whole file is written each time. The newest: a verifier that knows none begins with
            # whichever its anchor leads to.
            known = dict(sorted({**known, **fresh}.items())[-ROOT_VERSIONS_MAX:])
            self._known_roots = None  # what is there if this fails is to be seen
            files.replace(self._roots, frames.document(frames.ROOTS, known.values()))
        self._known_roots = known
        if self.tail is not None:
            for raw in fresh.values():
                if not self._journal.is_full:
                    self._journal.append(raw)

    def _keep_snapshot(self, raws: Sequence[bytes], position: Position) -> None:
        if self.tail is not None and position <= self.tail:
            return
        self.tail = None
        files.replace(self._snapshot, frames.document(frames.SNAPSHOT, raws))
        self._begin_at(position)

    def _keep_record(self, raw: bytes, position: Position) -> None:
        if position.seq == 1 and (self.tail is None or position > self.tail):
            self.tail = None
            files.remove(self._snapshot)
            self._begin_at(Position(position.epoch, 0))
        if self.tail is None or position != (self.tail.epoch, self.tail.seq + 1):
            return  # it is there, or one before it is not
        if self._journal.is_full:
            self.tail = None
            self._journal.remove()
            files.remove(self._snapshot)
            return
        self._journal.append(raw)
        self.tail = position

    def _begin_at(self, position: Position) -> None:
        # The file is begun with the first record. Until then an old one may lie there, which leads no further.
        self._journal.go_on(0, 0)
        self.tail = position


class Reader:
    """A file that is read batch by batch; opened with the first one. A context manager, or ``close`` it."""

    def __init__(self, path: Path, mark: bytes) -> None:
        self._path: Final = path
        self._mark: Final = mark
        self._file: BinaryIO | None = None
        self._frames: Iterator[frames.Frame] | None = None

    def batch(self, most: int = STATE_READ_FRAMES, *, bytes_max: int | None = STATE_READ_BYTES) -> list[frames.Frame]:
        """The next frames: at most so many, and hardly more than so many bytes; none at the end.

        Raises:
            OSError
        """
        if self._frames is None:
            self._file = files.open_to_read(self._path)
            self._frames = iter(()) if self._file is None else frames.read(self._file, self._mark)
        found, size = [], 0
        for each in islice(self._frames, most):
            found.append(each)
            size += len(each.payload)
            if bytes_max is not None and size >= bytes_max:
                break
        return found

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _read_position(payload: bytes, anchor: TrustAnchor | None) -> Position | None:
    try:
        value = strict_json.loads_object(payload)
    except MalformedError:
        return None
    if anchor is not None and not _is_of(value, anchor):
        return None
    epoch, seq = value.get("epoch"), value.get("seq")
    if type(epoch) is not int or type(seq) is not int or not (0 < epoch <= SEQ_MAX and 0 <= seq <= SEQ_MAX):
        return None
    return Position(epoch, seq)


def _is_of(value: dict[str, Any], anchor: TrustAnchor) -> bool:
    thumbprints = value.get("root_thumbprints")
    # One of the root keys is enough: when some are exchanged, the feed is still the same.
    return (
        value.get("issuer") == anchor.issuer
        and isinstance(thumbprints, list)
        and any(thumbprint in thumbprints for thumbprint in anchor.root_thumbprints)
    )


def _by_version(raws: Iterable[bytes]) -> dict[int, bytes]:
    return {version: raw for raw in raws if (version := _version(raw)) is not None}


def _version(raw: bytes) -> int | None:
    try:
        return version_unverified(read_root_bytes(raw))
    except WireError:
        return None
