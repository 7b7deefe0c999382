"""The folder of an unfinished run: one run at a time, and only the same one continues."""

from __future__ import annotations

import fcntl
import glob
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from tbscale.engine.scratch import has_flow, write_json
from tbscale.errors import RunError

IDENTITY = "run.json"
DROPPED = ".dropped-"  # of a scratch that is being removed


def workdir_path(out: Path) -> Path:
    """Where an unfinished run to `out` keeps its scratch: hidden, beside it."""
    return out.with_name(f".{out.name}.tbscale")


def started_core_px(path: Path) -> int | None:
    """Core of the unfinished run in a folder, pixels; None where there is none.

    A run that chose its core by the memory that was free must find it again when it continues.
    """
    stored = path / IDENTITY
    return int(json.loads(stored.read_text())["core_px"]) if stored.is_file() else None


class WorkDir:
    """A locked folder for one run; use it in a `with`.

    It stays after an error, for the same run to continue. Without a row of flow in it there is
    nothing to continue, and a run with the mistake mended would be another one: then it goes too.

    Parameters
    ----------
    path : the folder, made if missing
    identity : everything that decides the scratch's content, JSON values
    restart : drop what an earlier run left
    drop_outputs : called with `path` before that is dropped: removes what the earlier run wrote
        elsewhere, which its scratch alone tells
    check : called when the lock is held: refuses what another run has made until then

    Raises
    ------
    RunError : another process works here, an earlier run was another one, or no lock can be had
    """

    def __init__(
        self,
        path: Path,
        identity: dict[str, Any],
        restart: bool,
        drop_outputs: Callable[[Path], None] = lambda _: None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.path = path
        self._drop_outputs = drop_outputs
        self._check = check
        self._identity = identity
        self._restart = restart
        self._lock: IO[str] | None = None

    def __enter__(self) -> WorkDir:
        self._lock = self._take_lock()
        try:
            self._check()
            self._claim()
        except BaseException:
            self._release()
            raise
        return self

    def _claim(self) -> None:
        stored = self.path / IDENTITY
        if self._restart or not stored.is_file():  # without a name, whose scratch it is, is unknown
            self._drop_outputs(self.path)
            self.clear()
        self.path.mkdir(exist_ok=True)
        if stored.is_file():
            self._compare(json.loads(stored.read_text()))
        else:
            write_json(stored, self._identity)

    @property
    def _lock_path(self) -> Path:
        return self.path.with_name(self.path.name + ".lock")

    def _take_lock(self) -> IO[str]:
        while True:
            lock = self._open_lock()
            if self._lock_path.exists() and os.path.samestat(
                self._lock_path.stat(), os.fstat(lock.fileno())
            ):
                return lock
            lock.close()  # its last owner removed it in between; take the new one

    def _open_lock(self) -> IO[str]:
        """The file of the lock, made if missing, and locked."""
        try:
            lock = self._lock_path.open("w")
        except OSError as error:
            raise self._no_lock("made", error) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise RunError(
                f"another run writes here ({self.path.name} is locked); wait for it, or "
                "choose another output"
            ) from None
        except OSError as error:  # of a network's disk that knows no locks
            lock.close()
            self._lock_path.unlink(missing_ok=True)
            raise self._no_lock("locked", error) from error
        return lock

    def _no_lock(self, done: str, error: OSError) -> RunError:
        return RunError(
            f"{self._lock_path} cannot be {done} ({error.strerror}); choose another output"
        )

    def _compare(self, before: dict[str, Any]) -> None:
        names = sorted(before.keys() | self._identity.keys())
        changed = [n for n in names if before.get(n) != self._identity.get(n)]
        if changed:
            differences = ", ".join(
                f"{n} was {before.get(n)!r}, is {self._identity.get(n)!r}" for n in changed
            )
            raise RunError(
                f"an unfinished run to this output was another one ({differences}); repeat its "
                "command to continue it, or pass --restart to drop it"
            )

    def clear(self) -> None:
        """Remove everything that a run left here.

        It gets another name first: a kill in between leaves nothing that a run would go on from.
        """
        if self.path.exists():
            self.path.replace(self.path.with_name(f"{self.path.name}{DROPPED}{os.getpid()}"))
        for dropped in self.path.parent.glob(f"{glob.escape(self.path.name)}{DROPPED}*"):
            shutil.rmtree(dropped, ignore_errors=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None or not has_flow(self.path):
            self.clear()
        self._release()

    def _release(self) -> None:
        """Let go of the lock; its file stays with scratch alone."""
        if not self.path.exists():
            self._lock_path.unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()
