"""Writes that fail on purpose: the n-th write, fsync, rename or new folder of a process.

    with failing(at=7, within=folder) as faults:
        ...                       # the seventh fails as on a full disk, half of it written
    faults.log                    # what was done, the failed one last if nothing follows

What is done to files in `within` counts, and the fsync of `within` itself. With `lasting` all that
follow fail too. `action` takes the place of the error, so that a script can end the process there.
"""

import builtins
import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def fill_disk() -> None:
    """Fail as a write to a full disk does."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@dataclass
class Faults:
    """Counts what is written and says which of it fails."""

    within: Path
    at: int | None = None  # from 1; None: nothing fails
    lasting: bool = False
    action: Callable[[], None] = fill_disk
    log: list[str] = field(default_factory=list)

    @property
    def has_failed(self) -> bool:
        return self.at is not None and len(self.log) >= self.at

    def holds(self, path: Any) -> bool:
        """Whether a path, or the number of an open file, is to be watched."""
        if isinstance(path, int):
            opened = Path(os.path.realpath(f"/proc/self/fd/{path}"))
            return opened.is_relative_to(self.within)
        return self.within in Path(os.path.abspath(path)).parents

    def is_next(self, what: str) -> bool:
        """Count one operation, and say whether it fails."""
        self.log.append(what)
        count = len(self.log)
        return self.at is not None and (count == self.at or (self.lasting and count > self.at))

    def wrap(self, operation: Callable[..., Any], name: str) -> Callable[..., Any]:
        """The same operation on paths or a file number, which may fail."""

        def wrapped(first: Any, *more: Any, **settings: Any) -> Any:
            if self.holds(first) and self.is_next(f"{name} {first}"):
                self.action()
            return operation(first, *more, **settings)

        return wrapped

    def open(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """`open`, whose files may fail to be written to."""

        def opened(
            file: Any, mode: str = "r", buffering: int = -1, *more: Any, **settings: Any
        ) -> Any:
            if not set(mode) & set("wax+") or "+" in mode or not self.holds(file):
                return original(file, mode, buffering, *more, **settings)
            raw = FaultyFile(file, mode.strip("bt"), self)
            if buffering == 0:
                return raw
            buffered = io.BufferedWriter(raw)
            return buffered if "b" in mode else io.TextIOWrapper(buffered, *more, **settings)

        return opened


class FaultyFile(io.FileIO):
    """A file that writes half of what it should, and fails."""

    def __init__(self, file: Any, mode: str, faults: Faults) -> None:
        super().__init__(file, mode)
        self._faults = faults

    def write(self, data: Any) -> int:
        if self._faults.is_next(f"write {self.name}"):
            view = memoryview(data).cast("B")
            super().write(view[: len(view) // 2])
            self._faults.action()
        return super().write(data)


@contextmanager
def failing(
    at: int | None = None,
    *,
    within: Path,
    lasting: bool = False,
    action: Callable[[], None] = fill_disk,
) -> Iterator[Faults]:
    """Have one operation fail while the block runs, or only count them."""
    faults = Faults(within.resolve(), at, lasting, action)
    names = ("fsync", "rename", "replace", "mkdir")
    originals = {name: getattr(os, name) for name in names}
    opens = {module: module.open for module in (io, builtins)}
    for name, original in originals.items():
        setattr(os, name, faults.wrap(original, name))
    for module, original in opens.items():
        module.open = faults.open(original)
    try:
        yield faults
    finally:
        for name, original in originals.items():
            setattr(os, name, original)
        for module, original in opens.items():
            module.open = original
