"""Text to token files, and token files to windows for training and evaluation."""

from charlm.data.cache import encode_part, find_tokens
from charlm.data.corpus import (
    PARTS,
    Corpus,
    CorpusConfig,
    Direction,
    Part,
    TextPart,
    parse_split,
    read_corpus,
    read_text,
)
from charlm.data.epochs import Epochs, make_epochs
from charlm.data.frame_windows import find_frames
from charlm.data.frames import Frame, Framing, Piece, frame_pieces
from charlm.data.made import MADE_CORPORA, made_corpus
from charlm.data.nbest import (
    NbestEntry,
    check_references,
    plain_texts,
    read_nbest,
    read_references,
    strip_marks,
)
from charlm.data.pairs import MinimalPair, read_pairs
from charlm.data.sources import STDIN, Source, comes_once
from charlm.data.tasks import TASKS, Exercise, exercises
from charlm.data.token_counts import TokenCounts, count_tokens
from charlm.data.token_file import (
    TextCounts,
    TokenFile,
    batch_pieces,
    join_frames,
    open_token_file,
    write_token_file,
)
from charlm.data.turning import turn, turned_places, write_turned
from charlm.data.vectors import Vectors, read_vectors
from charlm.data.window import NOT_PREDICTED, Window
from charlm.data.windows import Windows, make_windows

__all__ = [
    "MADE_CORPORA",
    "NOT_PREDICTED",
    "PARTS",
    "STDIN",
    "TASKS",
    "Corpus",
    "CorpusConfig",
    "Direction",
    "Epochs",
    "Exercise",
    "Frame",
    "Framing",
    "MinimalPair",
    "NbestEntry",
    "Part",
    "Piece",
    "Source",
    "TextCounts",
    "TextPart",
    "TokenCounts",
    "TokenFile",
    "Vectors",
    "Window",
    "Windows",
    "batch_pieces",
    "check_references",
    "comes_once",
    "count_tokens",
    "encode_part",
    "exercises",
    "find_frames",
    "find_tokens",
    "frame_pieces",
    "join_frames",
    "made_corpus",
    "make_epochs",
    "make_windows",
    "open_token_file",
    "parse_split",
    "plain_texts",
    "read_corpus",
    "read_nbest",
    "read_pairs",
    "read_references",
    "read_text",
    "read_vectors",
    "strip_marks",
    "turn",
    "turned_places",
    "write_token_file",
    "write_turned",
]
