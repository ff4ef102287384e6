"""Run charlm's commands in forked children that are watched: what they touch, take and print."""

import os
import resource
import select
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO

SECONDS = 30  # beyond which a command counts as a hang
TEMPORARY = "tmp"  # the folder, within a command's own, of its temporary files
CONNECTS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
RUNS_CODE = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "os.spawn", "pty.spawn")
CHANGES_FILES = (
    *("os.remove", "os.rename", "os.rmdir", "os.truncate", "os.link", "os.symlink"),
    *("os.mkdir", "os.chmod", "os.chown", "os.utime", "os.setxattr", "os.removexattr"),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one command."""

    status: int  # exit status; below 0: the signal that ended it
    output: str  # of stdout
    messages: str  # of stderr
    events: tuple[str, ...]  # connections, code, changes outside of the folder
    peak_bytes: int
    timed_out: bool

    @property
    def said(self) -> str:
        """The end of what was printed, and what was seen."""
        return "\n".join((*self.events, self.output[-500:], self.messages[-1500:]))

    @property
    def fault(self) -> str | None:
        """The kind of fault, if there is one."""
        if self.timed_out:
            return "hang"
        for event in self.events:
            return event.split(":")[0]
        if "Traceback" in self.messages:
            return "traceback"
        if self.status < 0 or self.status not in (0, 1, 2, 130):
            return "crash"
        errors = [x for x in self.messages.splitlines() if x.startswith("error: ")]
        if self.status == 1 and len(errors) != 1:
            return "no line of error"
        return "long error" if any(len(error) > 300 for error in errors) else None


def run_command(
    arguments: Sequence[str],
    folder: Path,
    seconds: float = SECONDS,
    around: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> Outcome:
    """Run a charlm command in a fork of this process, in a folder of its own.

    torch must have been imported and must not have computed with several threads, so that a fork
    is sound. `around` makes a context in which the command runs.
    """
    events_read, events_write = os.pipe()
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as messages:
        child = os.fork()
        if child == 0:
            os.close(events_read)
            run_child(arguments, folder, (output.fileno(), messages.fileno(), events_write), around)
        os.close(events_write)
        timed_out = not wait_for_end(child, seconds)
        if timed_out:
            os.kill(child, signal.SIGKILL)
        _, status, usage = os.wait4(child, 0)
        printed, said = (read_start(file) for file in (output, messages))
    with open(events_read, "rb") as pipe:
        events = pipe.read(1 << 20).decode(errors="replace").splitlines()
    return Outcome(
        status=os.waitstatus_to_exitcode(status),
        output=printed,
        messages=said,
        events=tuple(events),
        peak_bytes=usage.ru_maxrss << 10,
        timed_out=timed_out,
    )


def start_command(arguments: Sequence[str], folder: Path) -> int:
    """Start a command as `run_command` does; return its process, to be killed."""
    child = os.fork()
    if child == 0:
        nowhere = os.open(os.devnull, os.O_RDWR)
        run_child(arguments, folder, (nowhere, nowhere, nowhere), nullcontext)
    return child


def kill(child: int) -> None:
    """Send SIGKILL to a process, and reap it."""
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def run_child(
    arguments: Sequence[str],
    folder: Path,
    streams: tuple[int, int, int],
    around: Callable[[], AbstractContextManager[object]],
) -> None:
    """Be the command, with files for its stdout, its stderr and its events; never return."""
    output, messages, events = streams
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(messages, 2)
        os.chdir(folder)
        tempfile.tempdir = str(folder / TEMPORARY)
        os.environ["CHARLM_CACHE"] = str(folder / TEMPORARY / "cache")
        os.makedirs(tempfile.tempdir, exist_ok=True)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        watch(folder, events)
        from charlm.__main__ import main

        sys.argv = ["charlm", *arguments]
        with around():
            main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
        status = 1
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def watch(folder: Path, events: int) -> None:
    """Report connections, foreign code, and changes to files outside of `folder`."""
    own = (f"{folder.resolve()}/", "/dev/null", "/dev/tty")

    def is_foreign(path: object) -> bool:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return False
        return not f"{os.path.realpath(os.fsdecode(path))}/".startswith(own)  # nor the folder

    def report(kind: str, what: object) -> None:
        os.write(events, f"{kind}: {what!r}\n".encode())

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in CONNECTS:
            report("connection", arguments)
        elif event in RUNS_CODE or (event == "import" and arguments[0] == "pickle_payload"):
            report("code run", (event, arguments))
        elif event in CHANGES_FILES and any(map(is_foreign, arguments[:2])):
            report("foreign file", (event, arguments))
        elif event == "open" and isinstance(arguments[2], int):
            writes = arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_TRUNC | os.O_CREAT)
            if writes and is_foreign(arguments[0]):
                report("foreign file", (event, arguments))

    sys.addaudithook(hook)


def wait_for_end(child: int, seconds: float) -> bool:
    """Wait for a process, and not reap it; return whether it ended in time."""
    handle = os.pidfd_open(child)
    try:
        return bool(select.select([handle], [], [], seconds)[0])
    finally:
        os.close(handle)


def read_start(file: IO[bytes]) -> str:
    """Return the first mebibyte of a file as text."""
    file.seek(0)
    return file.read(1 << 20).decode(errors="replace")
