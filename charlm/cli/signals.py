"""Signals that end a command in order: SIGTERM, and SIGHUP when the terminal closes."""

import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130
OUTPUTS = (1, 2)  # file descriptors
LOST = (errno.EIO, errno.ENXIO)  # of a terminal that is gone


def end_in_order() -> None:
    """Have SIGTERM and SIGHUP end the command with its temporary files removed."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if not is_ignored(number):
            signal.signal(number, leave)


def leave(number: int, _: FrameType | None) -> None:
    """End in order, with the status of a process that was told to."""
    if number == signal.SIGHUP:
        silence_lost_terminal()
    sys.exit(128 + number)


def is_ignored(number: int) -> bool:
    """Return whether the caller asked to ignore a signal, as `nohup` does for SIGHUP."""
    return signal.getsignal(number) == signal.SIG_IGN


@contextmanager
def stop_signals() -> Iterator[Callable[[], bool]]:
    """Turn the first SIGINT, SIGTERM or SIGHUP into a wish to stop.

    The second SIGINT or SIGTERM interrupts at once. Those that the caller asked to ignore stay so,
    as SIGINT is in the background of a script.
    """
    received: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if number == signal.SIGHUP:  # which comes twice, from the terminal and from the shell
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
    """Send nowhere what would be written to a terminal that is gone: each write would fail."""
    for descriptor in OUTPUTS:
        try:
            os.get_terminal_size(descriptor)
        except OSError as error:
            if error.errno in LOST:  # else it is no terminal
                silence(descriptor)


def silence(descriptor: int) -> None:
    """Send what is written to a file descriptor nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
