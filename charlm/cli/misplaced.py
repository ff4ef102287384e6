"""Advice for a text given where a file or a checkpoint belongs."""

import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path, PurePath

from charlm.errors import CheckpointError, ConfigError, TextError
from charlm.location import COMPRESSED, TEXTS, is_checkpoint_name

MAX_SHOWN = 60  # characters of a text in a message
MAX_NAME_BYTES = 255  # limit of file names on common file systems
WITHIN_PATH = re.compile(r"(?<!\s)/(?!\s)")


def is_no_name(name: str) -> bool:
    """Return whether an argument is a text rather than the name of a file or checkpoint.

    This holds for an argument that is too long for a file name, and for one that contains white
    space, does not look like a path and does not exist. URLs and `-` are names.
    """
    if "://" in name or name == "-":
        return False
    if is_too_long(name):
        return True
    if not any(c.isspace() for c in name.strip()) or is_like_path(name):
        return False
    return not (Path(name).exists() or is_checkpoint_name(name))


def is_like_path(name: str) -> bool:
    """Return whether a name has the extension of a text file, or a slash without spaces around."""
    ending = PurePath(name).suffix.lower()
    return ending in (*TEXTS, *COMPRESSED) or WITHIN_PATH.search(name) is not None


def is_too_long(name: str) -> bool:
    """Return whether a part of the path is longer than a file name can be."""
    parts = name.encode("utf-8", "surrogateescape").split(b"/")
    return any(len(part) > MAX_NAME_BYTES for part in parts)


def check_file_names(names: list[str], command: str) -> None:
    """Check that no argument is a text; otherwise suggest passing the text through a pipe.

    Args:
        names: names of files or checkpoints.
        command: verb for the message, such as `score`.

    Raises:
        TextError: an argument is a text rather than a name.
    """
    texts = [name for name in names if is_no_name(name)]
    if not texts:
        return
    if len(texts) > 1 or "-" in names:  # there is one standard input
        raise TextError(
            f"{quoted(texts[0])} is {reason(texts[0])}; to {command} several texts, write them "
            "into files and name these."
        )
    (text,) = texts
    raise TextError(
        f"{quoted(text)} is {reason(text)}; to {command} the text itself, run: {pipe(text)}"
    )


def check_prompt(checkpoint: Path | None, more: Sequence[str], *, prompted: bool) -> None:
    """Check that the only argument is a checkpoint; otherwise suggest the text as the prompt.

    Args:
        checkpoint: the first argument.
        more: the arguments after it.
        prompted: a prompt is given by an option.

    Raises:
        CheckpointError: the first argument is a text, and no prompt is given.
        ConfigError: arguments follow the name of a checkpoint.
    """
    if checkpoint is None:
        return
    name = str(checkpoint)
    if not is_too_long(name) and (is_checkpoint_name(name) or checkpoint.exists()):
        if more:
            advice = f"to continue this text, run: {with_prompt(more)}"
            raise ConfigError(
                f"unexpected argument {quoted(' '.join(more))}; "
                + ("the prompt is given already." if prompted else advice)
            )
    elif not prompted and (any(c.isspace() for c in name) or not is_like_path(name)):
        raise CheckpointError(
            f"there is no checkpoint {quoted(name)}; `charlm list` shows those there are. To "
            f"continue this text, run: {with_prompt([name, *more])}"
        )


def pipe(text: str) -> str:
    """Return the current command line with the text moved to standard input."""
    arguments = [
        argument.removesuffix(text) + "-" if argument in (text, f"--text={text}") else argument
        for argument in sys.argv[1:]
    ]
    plain = not text.startswith("-") and "\\" not in text
    echo = ["echo", text] if plain else ["printf", "%s\\n", text]
    if not fits_in_line(text):
        echo = ["cat", "FILE"]
    return f"{shlex.join(echo)} | {shlex.join(['charlm', *arguments])}"


def with_prompt(words: Sequence[str]) -> str:
    """Return the current command line with `words`, joined by spaces, moved to `--prompt`."""
    arguments = sys.argv[1:]
    places = []
    for word in words:
        same = (at for at, each in enumerate(arguments) if word in (each, str(Path(each))))
        places.append(next((at for at in same if at not in places), len(arguments)))
    prompt = " ".join(
        word if at == len(arguments) else arguments[at]
        for word, at in zip(words, places, strict=True)
    )
    rest = [each for at, each in enumerate(arguments) if at not in places]
    at = min(*places, len(rest))
    prompt = prompt if fits_in_line(prompt) else "@FILE"
    return shlex.join(["charlm", *rest[:at], "--prompt", prompt, *rest[at:]])


def fits_in_line(text: str) -> bool:
    """Return whether a text is short and plain enough to be quoted unchanged in a message.

    Messages are one line with single spaces.
    """
    return len(text) <= MAX_SHOWN and text.isprintable() and "  " not in text


def quoted(text: str) -> str:
    """Return a text in quotation marks, cut after 60 characters."""
    return repr(text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN].rstrip()}…")


def reason(name: str) -> str:
    """Return the reason why a name cannot be a file, as part of a message."""
    return "too long for the name of a file" if is_too_long(name) else "not a file"
