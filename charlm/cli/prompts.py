"""Prompts from the command line, from files and from standard input."""

from typing import TYPE_CHECKING

from charlm.cli.options import check_utf8
from charlm.errors import ConfigError, TextError

if TYPE_CHECKING:
    from charlm.text import Tokenizer


def find_prompts(prompt: str | None, prompts: str | None, tokenizer: "Tokenizer") -> list[str]:
    """Return the prompts given by `--prompt` or `--prompts`; an empty prompt if neither is given.

    Raises:
        ConfigError: both are given, or `@` is given without a file.
        TextError: a file cannot be read or is empty, or a prompt is not UTF-8.
    """
    if prompt is not None and prompts is not None:
        raise ConfigError("--prompt and --prompts exclude each other; choose one.")
    if prompts is not None:
        return read_lines(prompts, tokenizer)
    return [read_prompt(prompt or "", tokenizer)]


def read_prompt(prompt: str, tokenizer: "Tokenizer") -> str:
    """Return a prompt: the text itself, the content of `@FILE`, or standard input for `-`.

    A text that starts with `@@` starts with a literal `@`. The last line break of a file is
    removed, because editors add it.

    Raises:
        ConfigError: `@` is given without a file.
        TextError: the file cannot be read or is empty, or the prompt is not UTF-8.
    """
    check_utf8(prompt, tokenizer.level)
    if prompt.startswith("@@"):
        return prompt[1:]
    if prompt == "-" or prompt.startswith("@"):
        text = read_text(prompt.removeprefix("@"), tokenizer)
        if not text:
            raise TextError(
                f"{name_of(prompt.removeprefix('@'))} is empty; write the prompt in it."
            )
        return text.removesuffix("\r\n") if text.endswith("\r\n") else text.removesuffix("\n")
    return prompt


def read_lines(name: str, tokenizer: "Tokenizer") -> list[str]:
    """Return the lines of a file as prompts; an empty line is an empty prompt.

    Raises:
        ConfigError: the name is empty.
        TextError: the file cannot be read or has only empty lines.
    """
    *whole, rest = read_text(name, tokenizer).split("\n")
    lines = [line.removesuffix("\r") for line in whole] + [rest] * (rest != "")
    if not any(lines):
        raise TextError(f"{name_of(name)} holds no prompts; write one on each line.")
    return lines


def name_of(name: str) -> str:
    """Return the name of a file in error messages: "standard input" for `-`."""
    return "standard input" if name == "-" else name


def read_text(name: str, tokenizer: "Tokenizer") -> str:
    """Return the content of a file, read in the same way as the files of a corpus.

    Raises:
        ConfigError: the name is empty.
        TextError: the file cannot be read.
    """
    from charlm.data import UserSource, whole_text

    if not name:
        raise ConfigError("name the file of the prompt, such as @FILE.")
    return whole_text(UserSource(name, any_bytes=tokenizer.level == "byte"))
