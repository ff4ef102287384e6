"""Entry point of the `charlm` command, for `python -m charlm` and the installed script.

From the first line of `main`, Ctrl-C ends the command without a traceback. Few modules are imported
before that, so that it takes effect early.
"""

import _signal as signal  # type: ignore[import-not-found]  # `signal` imports many more modules
import os
import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command line; Ctrl-C exits with status 130 and without a traceback at any time."""
    try:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            # A KeyboardInterrupt during an import could be swallowed or printed by a module.
            signal.signal(signal.SIGINT, leave_at_once)
            from charlm.cli.app import main as run

            signal.signal(signal.SIGINT, signal.default_int_handler)
        else:
            from charlm.cli.app import main as run
        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def leave_at_once(*_: object) -> None:
    """Exit the process at once; no files are open yet."""
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
