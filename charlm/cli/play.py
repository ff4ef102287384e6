"""The `charlm play` command: write a text by turns with a model."""

import os
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from charlm.cli import options
from charlm.cli.loading import load_model
from charlm.cli.misplaced import check_prompt
from charlm.cli.options import check_utf8
from charlm.cli.prompts import read_prompt
from charlm.errors import CharlmError, ConfigError

if TYPE_CHECKING:
    from charlm.api import Session
    from charlm.text import Tokenizer

DEFAULT_LENGTH = 120
DEFAULT_OFFERS = 3
MAX_OFFERS = 20
SETTINGS: dict[str, tuple[str, type]] = {
    "length": ("max_new_tokens", int),
    "temperature": ("temperature", float),
    "top-k": ("top_k", int),
    "top-p": ("top_p", float),
    "min-p": ("min_p", float),
}
HELP = """\
Enter          the model goes on
any text       is added as it stands, and the model goes on from there; // begins with a /
/retry         the model's last words again, otherwise
/undo          takes the last part back, yours or the model's
/pick [N]      N continuations (3) to choose from
/temperature T /top-k K /top-p P /min-p P /length N   change how it writes; alone: show it
/text          shows the whole text
/save FILE     writes it to a file
/new           starts a new text
/quit          or Ctrl-D; Ctrl-C stops the model and keeps what it has written"""


def play(
    context: typer.Context,
    checkpoint: options.Checkpoint = None,
    label: options.Label = None,
    prompt: Annotated[
        str, typer.Option("--prompt", "-p", help="Text to begin with: a text, or @FILE.")
    ] = "",
    length: Annotated[
        int,
        typer.Option("--max-new-tokens", "-n", min=1, help="Number of tokens per continuation."),
    ] = DEFAULT_LENGTH,
    temperature: options.Temperature = None,
    top_k: options.TopK = None,
    top_p: options.TopP = None,
    min_p: options.MinP = None,
    stop: options.StopStrings = None,
    seed: options.Seed = None,
    device: options.Device = "auto",
) -> None:
    """Write a text in turns with a model: continue, undo, try again, pick, save."""
    check_prompt(checkpoint, context.args, prompted=bool(prompt))

    from charlm.api import Session, draw_seed
    from charlm.decoding import DecodingConfig
    from charlm.display.console import show_note

    given = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p}
    config = DecodingConfig(
        max_new_tokens=length,
        stop=tuple(stop or ()),
        **{k: v for k, v in given.items() if v is not None},  # type: ignore[arg-type]
    )
    lm = load_model(checkpoint, device, label)
    if lm.direction == "backward":
        raise ConfigError(
            f"{lm.checkpoint.folder} reads backwards and cannot go on from a text; see "
            "`charlm generate --ending`."
        )
    lm.writer(config)  # raises errors before anything is shown
    prompt = read_prompt(prompt, lm.tokenizer)
    session = Session(lm, config, draw_seed() if seed is None else seed)
    show_note(f"{lm.checkpoint.folder}: Enter to let it write, /help for more.")
    if prompt:
        from charlm.cli.generate import note_context

        note_context(lm, [prompt])
        frames = lm.prompt_frames.frames(prompt)
        found = dict.fromkeys(part for frame in frames for part in lm.tokenizer.unknown(frame))
        if found:
            show_note(f"never seen, read as <other>: {', '.join(map(repr, found))}")
        session.add(prompt)
        print(prompt, end="")
        write(session.go_on())
    Game(session, lm.tokenizer).run()


class Game:
    """Interactive loop that reads lines and carries out their commands."""

    def __init__(self, session: "Session", tokenizer: "Tokenizer") -> None:
        self.session = session
        self.tokenizer = tokenizer
        self.path: Path | None = None
        self.paths: set[Path] = set()
        self.saved = ""  # the text at the last save
        self.warned: tuple[str, str] | None = None  # command and unsaved text of the last warning

    def run(self) -> None:
        """Read and carry out lines until the user quits."""
        from charlm.display.console import show_error

        with suppress(ImportError):
            import readline  # noqa: F401  # line editing and history for input()
        while True:
            try:
                line = input("> ")
            except EOFError:
                line = "/quit"
                print()
            except KeyboardInterrupt:
                print()
                continue
            try:
                if not self.obey(line):
                    return
            except CharlmError as error:
                show_error(str(error))
            except KeyboardInterrupt:
                print()

    def obey(self, line: str) -> bool:
        """Carry out one line and return whether to go on.

        Raises:
            CharlmError: the command is unknown or failed, or the text is not UTF-8.
        """
        if line.startswith("/") and not line.startswith("//"):
            name, _, argument = line[1:].partition(" ")
            return self.command(name, argument.strip())
        if line:
            text = line.removeprefix("/")
            check_utf8(text, self.tokenizer.level)
            if unknown := self.tokenizer.unknown(text):
                from charlm.display.console import show_note

                show_note(f"never seen, read as <other>: {', '.join(map(repr, unknown))}")
            self.session.add(text)
        write(self.session.go_on())
        return True

    def command(self, name: str, argument: str) -> bool:
        """Carry out a command that begins with / and return whether to go on.

        Raises:
            ConfigError: the command is unknown or cannot be carried out.
            StorageError: the text cannot be saved.
        """
        if name in SETTINGS:
            self.set(name, argument)
            return True
        if name == "quit":
            return not self.may_leave("quit")
        known: dict[str, Callable[[str], None]] = {
            "retry": lambda _: write(self.session.retry()),
            "undo": self.undo,
            "pick": self.pick,
            "text": lambda _: print(self.session.text),
            "save": self.save,
            "new": self.new,
            "help": lambda _: print(HELP),
        }
        if name not in known:
            raise ConfigError(f"/{name} is not a command; /help lists them.")
        known[name](argument)
        return True

    def set(self, name: str, argument: str) -> None:
        """Change a setting, reset it to its default with `off`, or show it if no value is given.

        Raises:
            ConfigError: the value is malformed or out of range.
        """
        setting, kind = SETTINGS[name]
        if argument == "off":
            if name == "length":
                self.session.change(max_new_tokens=DEFAULT_LENGTH)
            else:
                self.session.reset(setting)
        elif argument:
            try:
                value = kind(argument)
            except ValueError:
                raise ConfigError(f"/{name} needs a number or off, not {argument!r}.") from None
            self.session.change(**{setting: value})
        value = getattr(self.session.config, setting)
        print(f"{name} is {'off' if value is None else value}")

    def undo(self, _: str) -> None:
        """Remove the last part of the text and show it."""
        taken = self.session.undo()
        print(f"took back {taken!r}" if taken else "there is nothing to take back")

    def pick(self, argument: str) -> None:
        """Offer continuations and add the one that the user chooses.

        Args:
            argument: number of continuations, from 1 to 20; 3 if empty.

        Raises:
            ConfigError: the number, or the user's choice, is malformed or out of range.
        """
        if argument and not (argument.isdecimal() and 1 <= int(argument) <= MAX_OFFERS):
            raise ConfigError(f"/pick needs a number from 1 to {MAX_OFFERS}, not {argument!r}.")
        try:
            offered = self.session.offer(int(argument or DEFAULT_OFFERS))
            for number, generation in enumerate(offered, 1):
                print(f"[{number}] …{generation.text}")
            answer = input(f"1 to {len(offered)}, or Enter for none: ").strip()
        except (KeyboardInterrupt, EOFError):
            print()
            return
        if not answer:
            return
        if not (answer.isdecimal() and 1 <= int(answer) <= len(offered)):
            raise ConfigError(f"{answer!r} is none of them; nothing was added.")
        self.session.choose(offered[int(answer) - 1])

    def save(self, argument: str) -> None:
        """Write the text to a file that is new or was written by this session.

        Raises:
            ConfigError: no file is named, or the file exists and is not from this session.
            StorageError: the file cannot be written.
        """
        from charlm.storage import write_atomically

        if not argument and self.path is None:
            raise ConfigError("/save needs a file's name.")
        # Like a shell, expanduser leaves a `~` that it cannot resolve unchanged.
        path = Path(os.path.expanduser(argument)) if argument else self.path
        assert path is not None
        # os.path.exists returns False for a name that is too long; Path.exists may raise.
        if os.path.exists(path) and path not in self.paths:
            raise ConfigError(f"{path} exists; choose another name.")
        text = self.session.text
        write_atomically(path, text.encode("utf-8", "surrogateescape"))
        self.path, self.saved = path, text
        self.paths.add(path)
        print(f"saved in {path}")

    def new(self, _: str) -> None:
        """Start a new text; the old one cannot be restored.

        Raises:
            ConfigError: the text is not saved, and the user has not been warned yet.
        """
        if self.may_leave("new"):
            self.session.clear()
            self.saved, self.path = "", None

    def may_leave(self, why: str) -> bool:
        """Return True if the text is saved, or if the user repeats the command after the warning.

        Args:
            why: name of the command.

        Raises:
            ConfigError: the text is not saved, and the user has not been warned yet.
        """
        text = self.session.text
        if text == self.saved or (why, text) == self.warned:
            return True
        self.warned = why, text
        raise ConfigError("the text is not saved: /save FILE, or say it again.")


def write(pieces: Generator[str]) -> None:
    """Print generated text as it arrives; Ctrl-C stops it and keeps what was generated."""
    from charlm.display.console import show_note

    wrote = False
    try:
        for piece in pieces:
            print(piece, end="", flush=True)
            wrote = True
        if not wrote:
            show_note("the model ends here; press Enter to go on, write something, or /undo.")
    except KeyboardInterrupt:
        pass
    finally:
        pieces.close()  # lets the session keep the text generated so far
        print()
