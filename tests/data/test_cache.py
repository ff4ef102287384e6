"""Token files kept between runs: found again for the same content, never for another."""

import errno
import gzip
import os
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from charlm.data import CorpusConfig, encode_part, find_tokens, join_frames, read_corpus
from charlm.data.cache import (
    KEEP_SECONDS,
    MARKER,
    cache_folder,
    forget_old_files,
    make_token_folder,
    token_folder,
    token_path,
)
from charlm.errors import CharlmWarning, StorageError
from charlm.text import TextConfig, build_tokenizer

TALE = "The fox ate the moon.\nThe owl saw it.\n\nThe moon came back.\n" * 5
BYTES = TextConfig(level="byte")


@pytest.fixture
def tale(tmp_path):
    return write(tmp_path / "tale.txt", TALE)


def write(path, text):
    path.write_bytes(text.encode())
    return str(path)


def corpus_of(*paths, text=BYTES, **settings):
    return read_corpus(CorpusConfig(paths=paths, **settings), text)


def path_of(corpus, part="train", text=BYTES):
    return token_path(
        corpus.config, corpus.sha256, part, build_tokenizer(text, corpus.parts["train"])
    )


def tokens_of(corpus, part):
    return encode_part(corpus, part, build_tokenizer(BYTES, [])).tokens.tolist()


@pytest.mark.parametrize("level", ["char", "byte", "bpe", "word"])
@pytest.mark.parametrize("part", ["train", "valid", "test"])
def test_a_part_is_encoded_once_and_then_kept(level, part, tale, monkeypatch):
    corpus = corpus_of(tale, text=TextConfig(level=level))
    tokenizer = build_tokenizer(TextConfig(level=level), corpus.parts["train"])
    made = encode_part(corpus, part, tokenizer)

    monkeypatch.setattr("charlm.data.cache.write_token_file", None)  # may not be called again
    kept = encode_part(corpus, part, tokenizer)

    assert np.array_equal(kept.tokens, join_frames(corpus.parts[part].pieces(), tokenizer))
    assert np.array_equal(kept.tokens, made.tokens)
    assert kept.counts == made.counts


def test_what_is_kept_is_found_without_the_text(tale):
    corpus = corpus_of(tale)
    tokenizer = build_tokenizer(BYTES, [])
    made = encode_part(corpus, "test", tokenizer)
    Path(tale).unlink()

    found = find_tokens(corpus.config, corpus.sha256, "test", tokenizer)

    assert np.array_equal(found.tokens, made.tokens)
    assert find_tokens(corpus.config, corpus.sha256, "valid", tokenizer) is None


def test_the_same_content_has_the_same_file_whatever_it_is_called(tale, tmp_path):
    copy = write(tmp_path / "copy.txt", TALE)
    packed = tmp_path / "tale.txt.gz"
    packed.write_bytes(gzip.compress(TALE.encode()))

    path = path_of(corpus_of(tale))

    assert path_of(corpus_of(copy)) == path
    assert path_of(corpus_of(str(packed))) == path


def test_spelling_out_a_default_changes_nothing(tale):
    plain, spelt = corpus_of(tale), corpus_of(tale, split=(90.0, 5.0, 5.0), frame="document")

    assert tokens_of(plain, "test") == tokens_of(spelt, "test")
    assert len(list(token_folder().glob("*.tokens"))) == 1


def test_another_content_split_frame_part_or_tokenizer_has_another_file(tale, tmp_path):
    other = write(tmp_path / "other.txt", TALE.replace("moon", "noon"))
    chars = TextConfig(level="char")

    paths = [
        path_of(corpus_of(tale)),
        path_of(corpus_of(tale), "valid"),
        path_of(corpus_of(other)),
        path_of(corpus_of(tale, tale)),
        path_of(corpus_of(tale, split=(80, 10, 10))),
        path_of(corpus_of(tale, frame="line")),
        path_of(corpus_of(tale, valid=(other,))),
        path_of(corpus_of(tale, text=chars), text=chars),
        path_of(corpus_of(tale, text=chars), text=TextConfig(level="char", vocab_size=5)),
    ]

    assert len(set(paths)) == len(paths)


def test_an_edited_corpus_is_encoded_anew(tale):
    before = tokens_of(corpus_of(tale), "train")

    write(Path(tale), TALE.replace("fox", "cat"))

    after = tokens_of(corpus_of(tale), "train")
    assert after != before
    assert bytes(after[1:-1]).startswith(b"The cat")


def test_a_text_that_moves_to_another_part_is_encoded_there(tale, tmp_path):
    fox, owl = write(tmp_path / "fox.txt", "fox " * 9), write(tmp_path / "owl.txt", "owl " * 9)
    corpora = [
        corpus_of(tale, valid=(fox,)),
        corpus_of(tale, test=(fox,)),
        corpus_of(tale, fox, valid=(owl,)),
        corpus_of(tale, valid=(fox,), test=(owl,)),
        corpus_of(tale, valid=(fox, owl)),
    ]
    tokenizer = build_tokenizer(BYTES, [])

    for corpus in corpora:
        for part, text in corpus.parts.items():
            assert tokens_of(corpus, part) == join_frames(text.pieces(), tokenizer).tolist()


@pytest.mark.parametrize("kept", [0, 100, 4200, -1])
def test_a_kept_file_that_breaks_off_is_made_again(kept, tale):
    corpus = corpus_of(tale)
    made = tokens_of(corpus, "train")
    path = path_of(corpus)
    path.write_bytes(path.read_bytes()[:kept])

    assert find_tokens(corpus.config, corpus.sha256, "train", build_tokenizer(BYTES, [])) is None
    with pytest.warns(CharlmWarning, match="was damaged; it is made again from the text"):
        assert tokens_of(corpus, "train") == made
    assert tokens_of(corpus, "train") == made  # without a warning


def flipped(content, place):
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def test_a_flipped_byte_anywhere_is_found(tale):
    corpus = corpus_of(tale)
    tokenizer = build_tokenizer(BYTES, [])
    tokens_of(corpus, "valid")
    path = path_of(corpus, "valid")
    content = path.read_bytes()

    for place in range(len(content)):
        path.write_bytes(flipped(content, place))
        assert find_tokens(corpus.config, corpus.sha256, "valid", tokenizer) is None, place

    path.write_bytes(content)
    assert find_tokens(corpus.config, corpus.sha256, "valid", tokenizer) is not None


@pytest.mark.parametrize("place", [0, 20, 40, 4000, 4096, -1])
def test_a_file_with_a_flipped_byte_is_made_again(place, tale):
    corpus = corpus_of(tale)
    made = tokens_of(corpus, "train")
    path = path_of(corpus)
    content = path.read_bytes()
    path.write_bytes(flipped(content, place % len(content)))

    with pytest.warns(CharlmWarning, match="damaged"):
        assert tokens_of(corpus, "train") == made

    assert path.read_bytes() == content


def test_tokens_of_another_part_under_this_name_are_not_served(tale):
    corpus = corpus_of(tale)
    train = tokens_of(corpus, "train")
    tokens_of(corpus, "valid")
    path_of(corpus).write_bytes(path_of(corpus, "valid").read_bytes())

    with pytest.warns(CharlmWarning, match="damaged"):
        assert tokens_of(corpus, "train") == train


def test_a_link_is_not_followed_when_a_token_file_is_made_again(tale, tmp_path):
    corpus = corpus_of(tale)
    tokens_of(corpus, "train")
    path = path_of(corpus)
    foreign = tmp_path / "foreign"
    foreign.write_text("not charlm's")
    path.unlink()
    path.symlink_to(foreign)

    with pytest.raises(StorageError, match="not a regular file; remove it"):
        tokens_of(corpus, "train")

    assert foreign.read_text() == "not charlm's"


def test_a_pipe_in_place_of_a_token_file_is_an_error_and_not_waited_for(tale):
    corpus = corpus_of(tale)
    tokens_of(corpus, "train")
    path_of(corpus).unlink()
    os.mkfifo(path_of(corpus))

    with pytest.raises(StorageError, match="not a regular file"):
        tokens_of(corpus, "train")


LONG_AGO = time.time() - KEEP_SECONDS - 60


def old_file(path, content="not charlm's"):
    path.write_text(content)
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def test_files_that_charlm_did_not_write_are_never_deleted(tale, tmp_path):
    corpus = corpus_of(tale)
    tokens_of(corpus, "valid")
    inside, name = path_of(corpus).parent, path_of(corpus).name
    linked = old_file(tmp_path / "linked")
    foreign = [
        old_file(folder / each)
        for folder in (cache_folder(), inside)
        for each in ("a.tokens", "a.tmp", ".a.tokens.1.tmp", f"{name}.bak", f"x{name}", "notes.txt")
    ]
    foreign += [old_file(cache_folder() / name), old_file(cache_folder() / f".{name}.1.tmp")]
    link = inside / ("0" * 32 + ".tokens")
    link.symlink_to(linked)
    os.utime(link, (LONG_AGO, LONG_AGO), follow_symlinks=False)
    own = [old_file(inside / f".{name}.1.tmp"), old_file(inside / ("1" * 32 + ".tokens"))]

    tokens_of(corpus, "train")

    assert all(path.exists() for path in foreign)
    assert link.is_symlink() and linked.exists()
    assert not any(path.exists() for path in own)


@pytest.mark.parametrize("marker", [None, b"", b"Signature: 8a477f597d28d172789f06886806bc55\n"])
def test_nothing_is_deleted_in_a_folder_that_charlm_did_not_mark(tale, marker):
    corpus = corpus_of(tale)
    inside = path_of(corpus).parent
    inside.mkdir()
    if marker is not None:
        (inside / MARKER).write_bytes(marker)
    foreign = old_file(inside / ("0" * 32 + ".tokens"))

    made = tokens_of(corpus, "train")

    assert foreign.exists()
    assert tokens_of(corpus, "train") == made


def test_files_that_nothing_has_used_for_thirty_days_are_removed(tale, tmp_path):
    corpus = corpus_of(tale)
    tokens_of(corpus, "valid")
    tokens_of(corpus, "test")
    long_ago = time.time() - KEEP_SECONDS - 60
    for name in ("valid", "test"):
        os.utime(path_of(corpus, name), (long_ago, long_ago))
    foreign = cache_folder() / "notes.txt"
    foreign.write_text("not a token file")
    os.utime(foreign, (long_ago, long_ago))

    tokens_of(corpus, "valid")  # a use
    tokens_of(corpus, "train")  # makes a new file

    assert path_of(corpus, "valid").exists()
    assert not path_of(corpus, "test").exists()
    assert foreign.exists()


def test_tokens_of_other_line_endings_are_not_served(tmp_path):
    path = tmp_path / "old.txt"
    path.write_bytes(b"a fox\rsat\na hen\rsat\n" * 9)
    new, old = (corpus_of(str(path), frame="line", line_endings=e) for e in ("any", "lf"))

    before = tokens_of(old, "train")
    after = tokens_of(new, "train")

    assert after.count(256) > before.count(256)  # <start>
    assert tokens_of(old, "train") == before


def test_a_file_that_another_run_has_just_renamed_is_no_error(monkeypatch):
    make_token_folder()
    monkeypatch.setattr(Path, "iterdir", lambda self: iter([self / ".gone.tokens.1.tmp"]))

    forget_old_files(token_folder())

    assert not (token_folder() / ".gone.tokens.1.tmp").exists()


def test_a_file_that_cannot_be_removed_stays(monkeypatch):
    """As another user's does in a shared folder."""
    make_token_folder()
    old, others = (token_folder() / f"{digit * 32}.tokens" for digit in "ab")
    for path in (old, others):
        path.touch()
        os.utime(path, (0, 0))
    unlink = Path.unlink

    def unlink_own(path):
        if path == others:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        unlink(path)

    monkeypatch.setattr(Path, "unlink", unlink_own)
    monkeypatch.setattr(Path, "iterdir", lambda _: iter([others, old]))

    forget_old_files(token_folder())

    assert others.exists() and not old.exists()


def test_a_folder_is_marked_where_a_killed_run_had_begun_to():
    token_folder().mkdir(parents=True)
    left = token_folder() / f".{MARKER}.12.tmp"
    left.touch()

    make_token_folder()

    assert (token_folder() / MARKER).exists()
    os.utime(left, (0, 0))
    forget_old_files(token_folder())
    assert not left.exists()


def test_a_file_that_another_run_writes_meanwhile_is_not_called_damaged(tale, monkeypatch):
    corpus = corpus_of(tale)
    path = path_of(corpus)

    def find_none(*_):
        path.parent.mkdir(parents=True)
        path.touch()

    monkeypatch.setattr("charlm.data.cache.find_tokens", find_none)

    with warnings.catch_warnings(action="error"):
        assert len(encode_part(corpus, "train", build_tokenizer(BYTES, [])).tokens) > 0


def test_the_folder_of_token_files_is_marked_for_backup_programs():
    make_token_folder()

    marker = (token_folder() / "CACHEDIR.TAG").read_bytes()
    assert marker.startswith(b"Signature: 8a477f597d28d172789f06886806bc55\n")


def test_the_cache_is_where_the_environment_says(tmp_path, monkeypatch):
    assert cache_folder() == Path(os.environ["CHARLM_CACHE"])

    monkeypatch.delenv("CHARLM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "charlm"

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "charlm"


def test_a_cache_that_cannot_be_made_is_a_storage_error(tale, monkeypatch):
    monkeypatch.setenv("CHARLM_CACHE", str(Path(tale) / "cache"))  # a file in the way

    with pytest.raises(StorageError, match="cannot write"):
        encode_part(corpus_of(tale), "train", build_tokenizer(BYTES, []))
