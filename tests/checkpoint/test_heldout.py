"""The held-out texts of a checkpoint: the same tokens anywhere, and nothing used unchecked."""

import gzip
import json
import os
import random
import tracemalloc
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.checkpoint import CheckpointConfig, heldout_bytes, kept_corpus
from charlm.checkpoint.heldout import (
    CHUNK_BYTES,
    CLOSES,
    OPENS,
    ROW,
    SMALL_BYTES,
    part_paths,
    row_blocks,
    save_heldout,
    totals_by_label,
)
from charlm.data import MAX_PIECE, MAX_WORD, CorpusConfig, read_corpus
from charlm.data import encode_part as encode
from charlm.data.cache import token_folder
from charlm.errors import CheckpointError
from charlm.model import ModelConfig
from charlm.text import TextConfig, build_tokenizer

HELD_OUT = ("valid", "test")


def config_of(corpus, text):
    """A configuration for a corpus; its model is never built."""
    labels = {"label": "both", "num_labels": len(corpus.labels)} if corpus.labels else {}
    return CheckpointConfig(
        text=text,
        corpus=corpus.config,
        corpus_sha256=corpus.sha256,
        tokenizer_sha256="0",
        model=ModelConfig(vocab_size=5, hidden_size=1, embedding_size=1, **labels),
        labels=corpus.labels,
        label_counts=(1,) * len(corpus.labels),
    )


def keep(folder, corpus, text):
    folder.mkdir(exist_ok=True)
    return replace(config_of(corpus, text), heldout=save_heldout(folder, corpus.parts))


def write_texts(folder):
    """Texts of many kinds, by what they show."""
    words = random.Random(1).choices(
        ["sea", "fog ", "boat,", "knot\n", "é", "船。", "\n\n"], k=9000
    )
    prose = " ".join(words)
    texts = {
        "prose.txt": prose.encode(),
        "more.txt": ("once more\n" * 40 + prose[:3000]).encode(),
        "windows.txt": b"\xef\xbb\xbf" + prose.replace("\n", "\r\n").encode(),
        "endless.txt": ("abcdefgh" * (MAX_PIECE // 2)).encode(),
        "bytes.bin": bytes(random.Random(2).randbytes(9000)),
        "marked.txt": b"the <unk> sea <eos> a fog </s> a\n" * 300,
        "cut.bin": b"\xc3",
        "rest.bin": b"\xa9" * 3000,
        "notes.tsv": "\n".join(f"{'ab'[i % 2]}\tnote {i} of {i * i}" for i in range(200)).encode(),
        "notes.jsonl": "\n".join(
            json.dumps({"label": "xyz"[i % 3], "text": f"line {i}\nand\r\nmore"}) for i in range(99)
        ).encode(),
    }
    for name, content in texts.items():
        (folder / name).write_bytes(content)
    with gzip.open(folder / "packed.txt.gz", "wb") as file:
        file.write(texts["prose.txt"])
    for label in ("north", "south"):
        (folder / "authors" / label).mkdir(parents=True)
        for i in range(30):
            (folder / "authors" / label / f"{i}.txt").write_text(f"{label} {i}\n\nwind {i}\n")


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize(
    ("names", "settings", "text"),
    [
        (["prose.txt"], {}, {}),
        (["prose.txt"], {"frame": "line"}, {}),
        (["prose.txt"], {"frame": "paragraph"}, {}),
        (["prose.txt", "more.txt"], {"split": (50.0, 30.0, 20.0)}, {}),
        (["more.txt", "prose.txt"], {"frame": "line", "split": (98.0, 2.0, 0.0)}, {}),
        (["more.txt"], {"valid": ["prose.txt", "windows.txt"], "test": ["more.txt"]}, {}),
        (["more.txt"], {"test": ["packed.txt.gz"]}, {}),
        (["windows.txt"], {"frame": "line"}, {}),
        (["windows.txt"], {}, {"level": "word"}),
        (["endless.txt"], {"split": (10.0, 45.0, 45.0)}, {}),
        (["endless.txt"], {"split": (10.0, 45.0, 45.0)}, {"level": "bpe", "vocab_size": 260}),
        (["prose.txt"], {}, {"level": "word", "vocab_size": 9}),
        (["marked.txt"], {}, {"level": "word", "pretokenized": True}),
        (["bytes.bin"], {}, {"level": "byte"}),
        (["bytes.bin"], {"frame": "line"}, {"level": "byte"}),
        (["prose.txt"], {"valid": ["cut.bin", "rest.bin"]}, {"level": "byte"}),
        (["notes.tsv"], {"labelled": True, "independent_frames": True}, {}),
        (["notes.jsonl"], {"labelled": True, "independent_frames": True}, {"level": "word"}),
        (["authors"], {"labelled": True, "independent_frames": True}, {}),
        (
            ["authors"],
            {"labelled": True, "independent_frames": True, "frame": "document"},
            {"level": "byte"},
        ),
    ],
)
def test_kept_texts_give_the_tokens_of_the_corpus(tmp_path, names, settings, text, direction):
    write_texts(tmp_path)
    named = {k: tuple(str(tmp_path / n) for n in settings.get(k, ())) for k in HELD_OUT}
    settings = {k: v for k, v in settings.items() if k not in HELD_OUT}
    paths = tuple(str(tmp_path / name) for name in names)
    config = CorpusConfig(paths=paths, **named, **settings, direction=direction)
    text = TextConfig(**{"level": "char", **text})
    corpus = read_corpus(config, text)
    tokenizer = build_tokenizer(text, corpus.parts["train"])
    kept_config = keep(tmp_path / "kept", corpus, text)
    before = {
        (part, label): encode(corpus, part, tokenizer, label)
        for part in HELD_OUT
        for label in corpus.labels or [None]
    }
    assert any(len(tokens) for tokens in before.values())

    for (part, label), expected in before.items():
        kept = kept_corpus(tmp_path / "kept", kept_config, part)
        found = encode(kept, part, tokenizer, label)

        assert found.array.tolist() == expected.array.tolist()
        assert found.counts == expected.counts
        original, again = (
            "".join(piece.text + piece.gap for piece in each.parts[part].pieces())
            for each in (corpus, kept)
        )
        assert again == original
        assert kept.sha256 != corpus.sha256


@pytest.fixture
def kept(tmp_path):
    """A folder, and a configuration with what it keeps, of a text of lines."""
    path = tmp_path / "text.txt"
    path.write_text("".join(f"line {i} of the sea, é\n" for i in range(400)))
    text = TextConfig(level="char")
    corpus = read_corpus(CorpusConfig(paths=(str(path),), frame="line"), text)
    return tmp_path / "kept", keep(tmp_path / "kept", corpus, text)


def pieces_of(kept, part="test"):
    folder, config = kept
    return list(kept_corpus(folder, config, part).parts[part].pieces())


def test_equal_texts_give_equal_files(kept, tmp_path):
    folder, config = kept
    corpus = read_corpus(config.corpus, config.text)

    keep(tmp_path / "again", corpus, config.text)

    for part in HELD_OUT:
        for first, second in zip(
            part_paths(folder, part), part_paths(tmp_path / "again", part), strict=True
        ):
            assert first.read_bytes() == second.read_bytes()


def test_the_text_is_kept_byte_for_byte_and_the_training_text_is_not(kept):
    folder, config = kept
    text, _ = part_paths(folder, "test")
    whole = (folder.parent / "text.txt").read_bytes()

    with gzip.open(text) as file:
        content = file.read()

    assert whole.endswith(content) and 300 < len(content) == config.heldout.test.num_bytes
    assert len(list((folder / "heldout").iterdir())) == 4
    assert kept_corpus(folder, config, "train") is None
    assert heldout_bytes(folder) == sum(p.stat().st_size for p in (folder / "heldout").iterdir())


def test_an_empty_part_needs_no_file(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("ab" * 100)
    text = TextConfig(level="char")
    corpus = read_corpus(CorpusConfig(paths=(str(path),), split=(90.0, 0.0, 10.0)), text)
    config = keep(tmp_path / "kept", corpus, text)

    assert not part_paths(tmp_path / "kept", "valid")[0].exists()
    assert pieces_of((tmp_path / "kept", config), "valid") == []
    assert len(pieces_of((tmp_path / "kept", config), "test")) == 1


def test_deleted_texts_are_as_if_they_had_not_been_kept(kept):
    folder, config = kept
    part_paths(folder, "test")[1].unlink()

    assert kept_corpus(folder, config, "test") is None
    assert kept_corpus(folder, config, "valid") is not None


def test_a_backward_half_uses_the_texts_of_its_checkpoint(kept):
    folder, config = kept

    assert pieces_of((folder / "backward", config)) == pieces_of((folder, config))


def test_repetitive_texts_are_stored_so_that_a_reader_accepts_them(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("ab\n" * 700_000)
    text = TextConfig(level="char")
    config = CorpusConfig(paths=(str(path),), split=(1.0, 9.0, 90.0), frame="line")
    corpus = read_corpus(config, text)
    kept_config = keep(tmp_path / "kept", corpus, text)
    for file in part_paths(tmp_path / "kept", "test"):
        assert file.stat().st_size > SMALL_BYTES

    found = kept_corpus(tmp_path / "kept", kept_config, "test").parts["test"].pieces()

    assert sum(piece.num_chars for piece in found) == kept_config.heldout.test.num_bytes


# --- files from anyone


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("damage", ["truncated", "flipped", "foreign", "empty", "longer", "other"])
def test_damage_is_one_clear_line(kept, which, damage):
    path = part_paths(kept[0], "test")[which]
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(
        {
            "truncated": content[:middle],
            "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
            "foreign": b"not compressed",
            "empty": b"",
            "longer": content + gzip.compress(b"more"),
            "other": gzip.compress(gzip.decompress(content)[:-1] + b"x"),
        }[damage]
    )

    with pytest.raises(CheckpointError, match=r"test\.(txt|frames)\.gz is damaged") as error:
        pieces_of(kept)

    assert "\n" not in str(error.value)


def forge(folder, config, text, rows, level=9):
    """Put in a test part with a seal that fits."""
    packed = text, np.array(rows, "<u4").tobytes()
    for path, content in zip(part_paths(folder, "test"), packed, strict=True):
        path.write_bytes(gzip.compress(content, level))
    part = replace(
        config.heldout.test,
        num_bytes=len(text),
        num_pieces=len(rows),
        sha256=sha256(packed[0]).hexdigest(),
        frames_sha256=sha256(packed[1]).hexdigest(),
    )
    return folder, replace(config, heldout=replace(config.heldout, test=part))


BOTH = OPENS + CLOSES


@pytest.mark.parametrize(
    "rows",
    [
        [[3, 0, 0, BOTH]],  # a byte is left
        [[5, 0, 0, BOTH]],
        [[2**32 - 1, 5, 0, BOTH]],
        [[4, 0, 1, BOTH]],  # there is no such label
        [[2, 0, 1, BOTH], [2, 0, 0, BOTH]],
        [[4, 0, 0, 4 + BOTH]],
        [[4, 0, 0, 0]],  # text outside a frame
        [[4, 0, 0, OPENS]],
        [[4, 0, 0, CLOSES]],
        [[2, 0, 0, OPENS], [2, 0, 0, OPENS]],
        [[2, 0, 0, BOTH], [2, 0, 0, CLOSES]],
        [[2, 0, 0, BOTH], [2, 0, 0, OPENS]],
    ],
)
def test_pieces_that_do_not_fit_the_text_are_refused(kept, rows):
    with pytest.raises(CheckpointError, match=r"test\.frames\.gz does not fit test\.txt\.gz"):
        pieces_of(forge(*kept, b"abcd", rows))


@pytest.mark.parametrize(
    "rows", [[[2, 2, 0, BOTH]], [[1, 0, 0, OPENS], [0, 0, 0, 0], [3, 0, 0, CLOSES]]]
)
def test_pieces_that_fit_are_read(kept, rows):
    found = pieces_of(forge(*kept, b"abcd", rows))

    assert "".join(piece.text + piece.gap for piece in found) == "abcd"
    assert len(found) == len(rows)


@pytest.mark.parametrize("text", [b"\xff\xfe", "é".encode()])
def test_text_that_is_not_utf8_is_refused(kept, text):
    rows = [[1, 0, 0, OPENS], [1, 0, 0, CLOSES]]

    with pytest.raises(CheckpointError, match="is not UTF-8"):
        pieces_of(forge(*kept, text, rows))


def test_a_piece_longer_than_any_is_refused(kept):
    text = b"a" * (4 * MAX_WORD + 1)

    with pytest.raises(CheckpointError, match="does not fit"):
        pieces_of(forge(*kept, text, [[len(text), 0, 0, BOTH]], level=0))


def test_the_longest_piece_is_read(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("船" * MAX_WORD + " fog" * 9)
    text = TextConfig(level="word", pretokenized=True)
    config = CorpusConfig(paths=(str(path),), test=(str(path),))
    corpus = read_corpus(config, text)
    kept_config = keep(tmp_path / "kept", corpus, text)

    found = pieces_of((tmp_path / "kept", kept_config))

    assert max(len(piece.text) for piece in found) == MAX_WORD


def test_a_long_gap_is_read_in_parts(kept):
    text = "a" + "\u2003" * CHUNK_BYTES + "b"
    sizes = [1, 3 * CHUNK_BYTES]

    rows = [[*sizes, 0, BOTH], [1, 0, 0, BOTH]]

    found = pieces_of(forge(*kept, text.encode(), rows, level=0))

    assert "".join(piece.text + piece.gap for piece in found) == text
    assert [piece.text for piece in found if piece.opens] == ["a", "b"]
    assert max(len(piece.gap) for piece in found) < CHUNK_BYTES


@pytest.mark.parametrize("block_rows", [1, 2, 3, 100])
@given(
    rows=st.lists(st.tuples(*map(st.integers, [0] * 4, [2, 1, 2, 4]))),
    num_labels=st.integers(1, 3),
)
def test_pieces_fit_a_text_however_many_are_checked_at_once(block_rows, rows, num_labels):
    """Compared with reading them one by one."""
    expected, depth, last = [[0, 0] for _ in range(num_labels)], 0, 0
    for num_text, num_gap, label, flags in rows:
        opens, closes = flags & OPENS, flags // CLOSES
        within = depth + opens
        fits = (
            flags <= BOTH
            and (label == last or (label > last and depth == 0))
            and label < num_labels
            and closes <= within <= 1
            and (within or not num_text)
        )
        if not fits:
            expected = None
            break
        expected[label][0] += 1
        expected[label][1] += num_text + num_gap
        depth, last = within - closes, label
    blocks = np.array(rows, "<u4").reshape(-1, 4)
    found = totals_by_label(
        (blocks[i : i + block_rows] for i in range(0, len(rows), block_rows)), num_labels
    )

    assert (found.tolist() if found is not None else None) == (None if depth else expected)


def test_many_pieces_are_checked_in_little_memory(tmp_path):
    """Those of a small file take much more as a whole."""
    num_rows = 1 << 20
    with open(tmp_path / "frames", "w+b") as frames:
        frames.truncate(num_rows * ROW.itemsize)
        tracemalloc.start()
        try:
            assert totals_by_label(row_blocks(frames, 0, num_rows), 1).tolist() == [[num_rows, 0]]
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert peak < num_rows


def test_a_decompression_bomb_is_refused_before_it_is_unpacked(kept, monkeypatch):
    bomb = forge(*kept, bytes(64 * SMALL_BYTES), [[1, 0, 0, BOTH]])
    monkeypatch.setattr("gzip.open", lambda *_: pytest.fail("it was unpacked"))

    with pytest.raises(CheckpointError, match=r"is too small for 67,108,864 bytes of content"):
        pieces_of(bomb)


def test_no_more_is_unpacked_than_is_recorded(kept, monkeypatch):
    folder, config = forge(*kept, bytes(64 * SMALL_BYTES), [[1, 0, 0, BOTH]])
    small = replace(config.heldout.test, num_bytes=100)
    config = replace(config, heldout=replace(config.heldout, test=small))
    read = []
    whole = gzip.GzipFile.read
    monkeypatch.setattr(
        gzip.GzipFile, "read", lambda file, size: read.append(size) or whole(file, size)
    )

    with pytest.raises(CheckpointError, match="is damaged"):
        pieces_of((folder, config))

    assert sum(read) == 101


def test_what_is_not_a_regular_file_is_refused(kept):
    path = part_paths(kept[0], "test")[0]
    path.unlink()
    os.mkfifo(path)

    with pytest.raises(CheckpointError, match="is not a regular file"):
        pieces_of(kept)


def test_tokens_of_a_forged_checkpoint_never_replace_those_of_the_corpus(kept):
    folder, config = kept
    corpus = read_corpus(config.corpus, config.text)
    tokenizer = build_tokenizer(config.text, corpus.parts["train"])
    forged = forge(folder, config, b"xxxx", [[4, 0, 0, BOTH]])
    assert forged[1].corpus_sha256 == corpus.sha256

    wrong = encode(kept_corpus(*forged, "test"), "test", tokenizer)
    right = encode(corpus, "test", tokenizer)

    assert len(wrong) == 6
    assert len(right) == sum(len(p.text) + 2 for p in corpus.parts["test"].pieces() if p.opens)
    assert len(list(token_folder().glob("*.tokens"))) == 2
