"""Settings of a corpus: its texts, split, frames and direction."""

from dataclasses import dataclass
from typing import Literal, get_args

from charlm.data.frames import Frame, LineEndings
from charlm.data.labelled import LABEL, TEXT
from charlm.data.sources import STDIN
from charlm.errors import ConfigError
from charlm.settings import shown

Direction = Literal["forward", "backward"]  # in which a text is read
Directions = Literal["forward", "backward", "both"]  # of one model, or of a pair of models
Part = Literal["train", "valid", "test"]
PARTS: tuple[Part, ...] = get_args(Part)
MAX_PATH = 4096  # characters; the limit of Linux
DEFAULT_SPLIT = (90.0, 5.0, 5.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusConfig:
    """Settings of a corpus.

    `valid` and `test` name separate held-out texts. Without them, `split` gives the percentages of
    the concatenated texts of `paths` for train, valid and test, which are contiguous.

    Raises:
        ConfigError: a setting is out of range, has no effect, or contradicts another one.
    """

    paths: tuple[str, ...]
    valid: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    split: tuple[float, float, float] | None = None
    frame: Frame | None = None  # None: for words, paragraphs if there are any, otherwise lines;
    # at the other levels, documents
    line_endings: LineEndings = "any"  # lf: for checkpoints of earlier versions of charlm
    independent_frames: bool = False
    labelled: bool = False  # texts have labels: see labelled.py
    label_column: str = LABEL
    text_column: str = TEXT
    keep_text: bool = True  # store the held-out splits in the checkpoint
    direction: Directions = "forward"  # backward: from the end of the text to its beginning;
    # both: forward for this model, and backward for a second one

    def __post_init__(self) -> None:
        if not self.paths:
            raise ConfigError("name at least one text to train on.")
        for path in (*self.paths, *self.valid, *self.test):
            if not path.isprintable():
                raise ConfigError(f"the name of a text must be printable UTF-8, not {shown(path)}.")
            if len(path) > MAX_PATH:
                raise ConfigError(f"the name of a text is too long: {shown(path)}.")
        if [*self.paths, *self.valid, *self.test].count(STDIN) > 1:
            raise ConfigError("standard input can be only one text; name `-` once.")
        if self.split is not None and (self.valid or self.test):
            raise ConfigError("--split has no effect beside --valid and --test; leave it out.")
        if self.split is not None:
            whole = sum(self.split)
            if len(self.split) != 3 or min(self.split) < 0 or not abs(whole - 100) < 1e-6:
                raise ConfigError(f"--split must be three percentages of sum 100, not {whole:g}.")
            if self.split[0] == 0:
                raise ConfigError("--split leaves nothing to train on; give train more than 0.")
        if self.frame is not None and self.frame not in get_args(Frame):
            known = ", ".join(get_args(Frame))
            raise ConfigError(f"frame must be one of {known}, not {self.frame!r}.")
        if self.line_endings not in get_args(LineEndings):
            raise ConfigError(f"line_endings must be any or lf, not {self.line_endings!r}.")
        if self.labelled and not self.independent_frames:
            raise ConfigError(
                "texts with labels are independent; leave out --no-independent-frames."
            )
        columns = {"label": self.label_column, "text": self.text_column}
        for name, column in columns.items():
            if column != name and not self.labelled:
                raise ConfigError(f"--{name}-column has no effect without --label; add it.")
        if self.direction not in get_args(Directions):
            known = ", ".join(get_args(Directions))
            raise ConfigError(f"direction must be one of {known}, not {self.direction!r}.")

    @property
    def reads(self) -> Direction:
        """Direction in which the model trained on this corpus reads it."""
        return "backward" if self.direction == "backward" else "forward"


def parse_split(text: str) -> tuple[float, float, float]:
    """Parse a split such as `90/5/5`: percentages for train, valid and test.

    Raises:
        ConfigError: the text is not three numbers separated by slashes.
    """
    try:
        train, valid, test = (float(share) for share in text.split("/"))
    except ValueError:
        raise ConfigError(f"--split must look like 90/5/5, not {text!r}.") from None
    return train, valid, test


def split_bounds(config: CorpusConfig, part: Part, num_chars: int) -> tuple[int, int]:
    """Return the range of characters of a split: start (inclusive) and end (exclusive)."""
    shares = config.split or DEFAULT_SPLIT
    index = PARTS.index(part)
    start = int(num_chars * sum(shares[:index]) / 100)
    end = int(num_chars * sum(shares[: index + 1]) / 100) if index < 2 else num_chars
    return start, end
