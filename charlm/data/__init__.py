"""Corpora, token files, and windows of tokens for training and evaluation."""

from charlm.data.cache import encode_part, find_tokens
from charlm.data.corpus import Corpus, read_corpus, read_text
from charlm.data.corpus_config import PARTS, CorpusConfig, Direction, Part, parse_split
from charlm.data.epochs import Epochs, make_epochs
from charlm.data.folders import TextFiles, expand_folders
from charlm.data.frame_windows import find_frames
from charlm.data.frames import MAX_PIECE, MAX_WORD, Frame, Framing, Piece, frame_pieces
from charlm.data.joined import JoinedTokens, Tokens
from charlm.data.labelled import Columns, LabelledText, is_labelled, read_labelled
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
from charlm.data.sources import (
    STDIN,
    Source,
    TextAtHand,
    UserPath,
    UserSource,
    comes_once,
    lines_of,
    source_of,
    standard_input,
    user_paths,
    whole_text,
)
from charlm.data.tasks import TASKS, Exercise, exercises
from charlm.data.text_part import LabelledPart, TextPart
from charlm.data.token_counts import TokenCounts, count_ids, count_other, count_tokens
from charlm.data.token_file import (
    TextCounts,
    TokenFile,
    batch_pieces,
    join_files,
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
    "MAX_PIECE",
    "MAX_WORD",
    "NOT_PREDICTED",
    "PARTS",
    "STDIN",
    "TASKS",
    "Columns",
    "Corpus",
    "CorpusConfig",
    "Direction",
    "Epochs",
    "Exercise",
    "Frame",
    "Framing",
    "JoinedTokens",
    "LabelledPart",
    "LabelledText",
    "MinimalPair",
    "NbestEntry",
    "Part",
    "Piece",
    "Source",
    "TextAtHand",
    "TextCounts",
    "TextFiles",
    "TextPart",
    "TokenCounts",
    "TokenFile",
    "Tokens",
    "UserPath",
    "UserSource",
    "Vectors",
    "Window",
    "Windows",
    "batch_pieces",
    "check_references",
    "comes_once",
    "count_ids",
    "count_other",
    "count_tokens",
    "encode_part",
    "exercises",
    "expand_folders",
    "find_frames",
    "find_tokens",
    "frame_pieces",
    "is_labelled",
    "join_files",
    "join_frames",
    "lines_of",
    "made_corpus",
    "make_epochs",
    "make_windows",
    "open_token_file",
    "parse_split",
    "plain_texts",
    "read_corpus",
    "read_labelled",
    "read_nbest",
    "read_pairs",
    "read_references",
    "read_text",
    "read_vectors",
    "source_of",
    "standard_input",
    "strip_marks",
    "turn",
    "turned_places",
    "user_paths",
    "whole_text",
    "write_token_file",
    "write_turned",
]
