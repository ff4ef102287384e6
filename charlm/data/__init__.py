"""Text to token files, and token files to windows for training and evaluation."""

from charlm.data.cache import encode_part, find_tokens
from charlm.data.corpus import (
    PARTS,
    Corpus,
    CorpusConfig,
    Part,
    TextPart,
    parse_split,
    read_corpus,
    read_texts,
)
from charlm.data.frames import Frame, Framing, frame_pieces
from charlm.data.made import MADE_CORPORA, made_corpus
from charlm.data.sources import STDIN, Source
from charlm.data.token_counts import TokenCounts, count_tokens
from charlm.data.token_file import (
    TextCounts,
    TokenFile,
    join_frames,
    open_token_file,
    write_token_file,
)
from charlm.data.windows import NOT_PREDICTED, Window, Windows, make_windows

__all__ = [
    "MADE_CORPORA",
    "NOT_PREDICTED",
    "PARTS",
    "STDIN",
    "Corpus",
    "CorpusConfig",
    "Frame",
    "Framing",
    "Part",
    "Source",
    "TextCounts",
    "TextPart",
    "TokenCounts",
    "TokenFile",
    "Window",
    "Windows",
    "count_tokens",
    "encode_part",
    "find_tokens",
    "frame_pieces",
    "join_frames",
    "made_corpus",
    "make_windows",
    "open_token_file",
    "parse_split",
    "read_corpus",
    "read_texts",
    "write_token_file",
]
