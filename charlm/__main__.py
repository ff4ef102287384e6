"""The `charlm` command, from its first instant: `python -m charlm` and the installed script.

Ctrl-C is silent from the first line of `main` on. What is imported before is little, so that this
is soon.
"""

import _signal as signal  # type: ignore[import-not-found]  # `signal` imports much more
import os
import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command line; Ctrl-C ends it with status 130 and no traceback at any time."""
    try:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            # While modules are imported, an exception could be lost or printed by one of them.
            signal.signal(signal.SIGINT, leave_at_once)
            from charlm.cli.app import main as run

            signal.signal(signal.SIGINT, signal.default_int_handler)
        else:
            from charlm.cli.app import main as run
        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def leave_at_once(*_: object) -> None:
    """End the process; nothing is open yet."""
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
