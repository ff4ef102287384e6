"""Handling of signals that end a command: SIGINT, SIGTERM and, on a closed terminal, SIGHUP."""

import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130
OUTPUTS = (1, 2)  # file descriptors
LOST = (errno.EIO, errno.ENXIO)  # errors of a terminal that has closed


def end_in_order() -> None:
    """Install handlers that exit on SIGTERM and SIGHUP, so that temporary files are removed.

    Signals that the caller ignores stay ignored.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if not is_ignored(number):
            signal.signal(number, leave)


def leave(number: int, _: FrameType | None) -> None:
    """Exit with status 128 + the signal number."""
    if number == signal.SIGHUP:
        silence_lost_terminal()
    sys.exit(128 + number)


def is_ignored(number: int) -> bool:
    """Return whether the caller asked to ignore a signal, as `nohup` does for SIGHUP."""
    return signal.getsignal(number) == signal.SIG_IGN


@contextmanager
def stop_signals() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether SIGINT, SIGTERM or SIGHUP has arrived.

    The first signal only sets this flag. A repeated SIGINT or SIGTERM interrupts at once. Signals
    that the caller ignores stay ignored, such as SIGINT for a background job of a script.
    """
    received: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if number == signal.SIGHUP:  # arrives twice, from the terminal and from the shell
            silence_lost_terminal()
        else:
            signal.signal(number, signal.default_int_handler)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    heeded = [number for number in numbers if not is_ignored(number)]
    before = {number: signal.signal(number, remember) for number in heeded}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def silence_lost_terminal() -> None:
    """Redirect stdout and stderr to /dev/null if their terminal has closed: writes would fail."""
    for descriptor in OUTPUTS:
        try:
            os.get_terminal_size(descriptor)
        except OSError as error:
            if error.errno in LOST:  # any other error means that it is not a terminal
                silence(descriptor)


def silence(descriptor: int) -> None:
    """Redirect a file descriptor to /dev/null."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
