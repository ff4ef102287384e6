"""A text where a file or a checkpoint belongs: the command that does what was meant."""

import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path, PurePath

from charlm.errors import CheckpointError, ConfigError, TextError
from charlm.location import COMPRESSED, TEXTS, is_checkpoint_name

MAX_SHOWN = 60  # characters of a text in a message
MAX_NAME_BYTES = 255  # longer names no file system has
WITHIN_PATH = re.compile(r"(?<!\s)/(?!\s)")


def is_no_name(name: str) -> bool:
    """Whether a name is a text rather than the name of a file: nothing is called so, nor would be.

    That is a text with white space within that is not spelt like a path, or one too long for a
    name.
    """
    if "://" in name or name == "-":
        return False
    if is_too_long(name):
        return True
    if not any(c.isspace() for c in name.strip()) or is_like_path(name):
        return False
    return not (Path(name).exists() or is_checkpoint_name(name))


def is_like_path(name: str) -> bool:
    """Whether a name is spelt as that of a file: it ends as one, or has a slash between words."""
    ending = PurePath(name).suffix.lower()
    return ending in (*TEXTS, *COMPRESSED) or WITHIN_PATH.search(name) is not None


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
    """A checkpoint is named, and nothing more; if there is a text, say how it becomes the prompt.

    Args:
        checkpoint: the first name.
        more: what follows it.
        prompted: whether a prompt is given by option.

    Raises:
        CheckpointError: the name is a text, and no prompt is given.
        ConfigError: something follows the name.
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
    """The command that was typed, its text on standard input."""
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
    """The command that was typed, its last words as the prompt, joined by spaces."""
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
    """Whether a message, which is one line with single spaces, can show a text as it is."""
    return len(text) <= MAX_SHOWN and text.isprintable() and "  " not in text


def quoted(text: str) -> str:
    """A text as a message shows it, in quotation marks and cut where it is long."""
    return repr(text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN].rstrip()}…")


def reason(name: str) -> str:
    """Why it cannot be a file."""
    return "too long for the name of a file" if is_too_long(name) else "not a file"
