"""A thread that does one thing after the other, and that no process waits for at its end."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, Final, ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Job = tuple[Future[Any], Callable[[], Any]]


class Worker:
    """Like an executor with one thread. That waits for its thread when the process ends, and a disk may hang."""

    def __init__(self, name: str) -> None:
        self._jobs: Final[SimpleQueue[_Job | None]] = SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def submit(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Have it done after whatever was submitted before. May be cancelled until its turn has come."""
        future: Future[_T] = Future()
        self._jobs.put((future, lambda: function(*args, **kwargs)))
        return future

    def end(self) -> None:
        """The thread ends after what was submitted. Returns at once."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, call = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = call()
            except BaseException as error:  # noqa: BLE001 - it is for whoever waits for it
                future.set_exception(error)
            else:
                future.set_result(result)
            del job, future, call
