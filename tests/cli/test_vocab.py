import json

import pytest
import tokenizers


def test_a_thousand_words_make_1003_tokens(charlm, tmp_path):
    tales = charlm("corpus", "tales").out
    (tmp_path / "tales.txt").write_text(tales)

    built = charlm(
        "vocab", "build", "tales.txt", "--level", "word", "--vocab-size", 1000, "-o", "t.json"
    )

    assert "1,000 symbols + <start> <stop> <other> = 1,003 tokens" in built.err
    assert tokenizers.Tokenizer.from_file("t.json").get_vocab_size() == 1003


def test_a_sentence_is_encoded_as_the_textbook_does(charlm, tmp_path):
    (tmp_path / "text.txt").write_text("the cat the dog the cat a\n")
    charlm("vocab", "build", "text.txt", "--level", "word", "--vocab-size", 3, "-o", "t.json")

    ids = charlm("vocab", "encode", "-t", "t.json", "the dog sees the cat")
    shown = charlm("vocab", "encode", "-t", "t.json", "--tokens", "the zebra")

    assert ids.out == "3 0 2 5 0 1 4\n"  # <start> the dog <other> the cat <stop>
    assert shown.out.split() == ["3", "<start>", "0", "the", "5", "<other>", "4", "<stop>"]


def test_decoding_takes_back_what_encoding_gave(charlm, tmp_path):
    (tmp_path / "text.txt").write_text("the cat,\nto the dog")
    charlm("vocab", "build", "text.txt", "-o", "t.json")
    ids = charlm("vocab", "encode", "-t", "t.json", "a cat\ntoo, dad").out

    assert charlm("vocab", "decode", "-t", "t.json", *ids.split()).out == "a cat\ntoo, dad\n"


def test_show_lists_tokens_counts_and_coverage(charlm, tmp_path):
    (tmp_path / "text.txt").write_text("b a b c b a")

    content = json.loads(charlm("vocab", "show", "text.txt", "--level", "word", "--json").out)

    assert content["num_tokens"] == 6
    assert content["tokens"][:2] == [{"token": "b", "count": 3}, {"token": "a", "count": 2}]
    assert content["coverage"][0] == {"size": 1, "share": 0.5}
    assert charlm("vocab", "show", "text.txt", "--level", "word").out.count("50.00%") == 3


def test_show_recognises_a_vocabulary_and_a_checkpoint_in_place_of_a_text(trained, tmp_path):
    (tmp_path / "text.txt").write_text("b a b c b a")
    trained("vocab", "build", "text.txt", "-o", "t.json")

    shown = trained("vocab", "show", "t.json")
    content = json.loads(trained("vocab", "show", "t.json", "--json", "--top", 2).out)
    of_checkpoint = json.loads(trained("vocab", "show", "tale", "--json", "--top", 1000).out)

    assert shown.status == 0
    assert "char, 7 tokens" in shown.out
    assert [line.split() for line in shown.out.splitlines() if line.strip()][-3:] == [
        ["4", "<start>"],
        ["5", "<stop>"],
        ["6", "<other>"],
    ]
    assert content["vocab_size"] == 7
    assert content["tokens"] == [{"id": 0, "token": " "}, {"id": 1, "token": "b"}]
    assert len(of_checkpoint["tokens"]) == of_checkpoint["vocab_size"]


@pytest.mark.parametrize("more", [["text.txt"], ["-t", "t.json"], ["--level", "word"]])
def test_a_vocabulary_where_texts_are_counted_is_an_error_with_the_command(charlm, tmp_path, more):
    (tmp_path / "text.txt").write_text("b a b c b a")
    charlm("vocab", "build", "text.txt", "-o", "t.json")
    charlm("vocab", "build", "text.txt", "-o", "my tokens.json")

    result = charlm("vocab", "show", "my tokens.json", *more)

    assert (result.status, result.err.count("\n")) == (1, 1)
    text = "text.txt" if more == ["text.txt"] else "TEXT"
    assert "`charlm vocab show 'my tokens.json'` shows its tokens" in result.err
    assert f"`charlm vocab show {text} --tokenizer 'my tokens.json'` counts" in result.err


def test_a_vocabulary_of_another_program_is_an_error(charlm, tmp_path):
    (tmp_path / "t.json").write_text('{"version": "1.0", "added_tokens": [], "model": {}}')

    result = charlm("vocab", "show", "t.json")

    assert (result.status, result.out) == (1, "")
    assert "t.json is damaged or not a tokenizer.json" in result.err


@pytest.mark.parametrize("text", ['{"model": "a fox"}', "[" * 5000 + "]" * 5000, "fox {"])
def test_other_json_is_a_text_like_any_other(charlm, tmp_path, text):
    (tmp_path / "text.json").write_text(text)

    content = json.loads(charlm("vocab", "show", "text.json", "--json").out)

    assert content["num_tokens"] == len(text)


def test_a_blank_text_has_no_tokens_to_show(charlm, tmp_path):
    (tmp_path / "blank.txt").write_text(" \n \n ")

    assert charlm("vocab", "show", "blank.txt", "--level", "word").status == 0


def test_frames_are_lines_of_ids(charlm, tmp_path):
    (tmp_path / "text.txt").write_text("a b\nb a\n")
    charlm("vocab", "build", "text.txt", "--level", "word", "--vocab-size", 2, "-o", "t.json")

    result = charlm("vocab", "encode", "-t", "t.json", "a b\nb")

    assert result.out == "2 0 1 3\n2 1 3\n"


def test_the_newest_checkpoint_is_the_default(trained):
    ids = trained("vocab", "encode", "The").out

    assert trained("vocab", "decode", *ids.split()).out == "The\n"


def test_ids_are_not_read_from_a_closed_standard_input(trained, monkeypatch):
    monkeypatch.setattr("sys.stdin", None)

    assert "standard input is closed" in trained("vocab", "decode").err
    assert trained("vocab", "decode", *trained("vocab", "encode", "The").out.split()).out == "The\n"


def test_mistakes_are_one_line_and_status_1(charlm, tmp_path):
    (tmp_path / "text.txt").write_text("a b")
    (tmp_path / "foreign.json").write_text("{}")
    charlm("vocab", "build", "text.txt", "-o", "t.json")
    wrong = {
        ("encode", "-t", "missing.json", "a"): "missing.json does not exist",
        ("encode", "-t", "foreign.json", "a"): "foreign.json is damaged",
        ("encode", "a"): "no checkpoint",
        ("decode", "-t", "t.json", "99"): "ids are whole numbers from 0 to 5",
        ("decode", "-t", "t.json", "one"): "'one' is not",
        ("show", "text.txt", "-t", "t.json", "--level", "word"): "--tokenizer fixes level",
        ("build", "text.txt", "-o", "/dev/null/t.json"): "cannot write /dev/null",
        ("build", "missing.txt", "-o", "x.json"): "missing.txt does not exist",
    }

    for arguments, said in wrong.items():
        result = charlm("vocab", *arguments)
        assert (result.status, result.err.count("\n")) == (1, 1), arguments
        assert said in result.err


def test_a_vocabulary_of_thai_words_is_noted(charlm, tmp_path):
    (tmp_path / "thai.txt").write_text("เดินครูหมา บ้าน\n" * 9, encoding="utf-8")

    words = charlm("vocab", "build", "thai.txt", "--level", "word", "-o", "w.json")
    characters = charlm("vocab", "build", "thai.txt", "-o", "c.json")

    assert "Thai puts no spaces between words" in words.err
    assert "Thai" not in characters.err
