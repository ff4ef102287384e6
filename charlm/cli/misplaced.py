"""A text where a file or a checkpoint belongs: the command that does what was meant."""

import shlex
import sys
from pathlib import Path

from charlm.errors import CheckpointError, TextError
from charlm.location import is_checkpoint_name

MAX_SHOWN = 60  # characters of a text in a message
MAX_NAME_BYTES = 255  # longer names no file system has


def is_no_name(name: str) -> bool:
    """Whether a name is a text rather than the name of a file: nothing is called so, nor would be.

    That is a text with white space within, or one too long for a name.
    """
    if "://" in name or name == "-":
        return False
    if is_too_long(name):
        return True
    return any(c.isspace() for c in name.strip()) and not Path(name).exists()


def is_too_long(name: str) -> bool:
    """Whether no file can have this name."""
    parts = name.encode("utf-8", "surrogateescape").split(b"/")
    return any(len(part) > MAX_NAME_BYTES for part in parts)


def check_file_names(names: list[str], command: str) -> None:
    """Texts are named, not given; if one is given, say how it goes through a pipe.

    Args:
        names: of texts, or checkpoints.
        command: such as `score`.

    Raises:
        TextError: one is a text.
    """
    for name in names:
        if is_no_name(name):
            raise TextError(
                f"{quoted(name)} is {reason(name)}; to {command} the text itself, run: {pipe(name)}"
            )


def check_prompt(checkpoint: Path | None, prompted: bool) -> None:
    """A checkpoint is named first; if it is a text, say how it becomes the prompt.

    Raises:
        CheckpointError: it is a text, and no prompt is given.
    """
    if checkpoint is None or prompted:
        return
    name = str(checkpoint)
    if is_too_long(name) or not (is_checkpoint_name(name) or checkpoint.exists()):
        raise CheckpointError(
            f"there is no checkpoint {quoted(name)}; `charlm list` shows those there are. To "
            f"continue this text, run: {with_prompt(name)}"
        )


def pipe(text: str) -> str:
    """The command that was typed, its text on standard input."""
    arguments = [("-" if argument == text else argument) for argument in sys.argv[1:]]
    plain = not text.startswith("-") and "\\" not in text
    echo = ["echo", text] if plain else ["printf", "%s\\n", text]
    if len(text) > MAX_SHOWN:
        echo = ["cat", "FILE"]
    return f"{shlex.join(echo)} | {shlex.join(['charlm', *arguments])}"


def with_prompt(text: str) -> str:
    """The command that was typed, its text as the prompt."""
    arguments = sys.argv[1:]
    same = (at for at, each in enumerate(arguments) if str(Path(each)) == text)  # as Path spells it
    at = next(same, len(arguments))
    prompt = text if at == len(arguments) else arguments[at]
    prompt = prompt if len(prompt) <= MAX_SHOWN else "@FILE"
    return shlex.join(["charlm", *arguments[:at], "--prompt", prompt, *arguments[at + 1 :]])


def quoted(name: str) -> str:
    """A name as a message shows it, cut where it is long."""
    return name if len(name) <= MAX_SHOWN else f"{name[:MAX_SHOWN].rstrip()}…"


def reason(name: str) -> str:
    """Why it cannot be a file."""
    return "too long for the name of a file" if is_too_long(name) else "not a file"
