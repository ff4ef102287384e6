"""Models of labels from the command line."""

import json

import pytest

SMALL = ("--hidden-size", 24, "--batch-size", 4, "--bptt", 16, "--learning-rate", 0.02)


@pytest.fixture
def pets(charlm, tmp_path):
    """A model of cats and dogs."""
    lines = (f"cats\tThe cat says meow {n}.\ndogs\tA dog barks woof {n}.\n" for n in range(50))
    (tmp_path / "pets.tsv").write_text("".join(lines))
    result = charlm("train", "pets.tsv", "--label", "both", *SMALL, "--steps", 80, "-o", "pets")
    assert result.status == 0, result.err
    return tmp_path / "pets"


def test_a_label_is_written_under(charlm, pets):
    cats = charlm("generate", "pets", "--label", "cats", "--greedy", "-n", 20)
    dogs = charlm("generate", "pets", "--label", "dogs", "--greedy", "-n", 20)
    cached = charlm("generate", "pets", "--label", "cats", "--cache", "-n", 5)
    both = charlm("generate", "pets", "--label", "cats=0.5", "--label", "dogs=0.5", "-n", 20)

    assert cats.out.startswith("The") and dogs.out.startswith("A ") and both.status == 0
    assert cached.status == 0
    assert "2 labels as state and input" in charlm("info", "pets").out


def test_texts_are_classified(charlm, pets, tmp_path):
    (tmp_path / "lines.txt").write_text("A dog barks\r\rThe cat says\n")

    one = json.loads(charlm("classify", "pets", "The cat", "A dog", "--json").out)
    lines = charlm("classify", "pets", "--file", "lines.txt").out
    split = charlm("classify", "pets")
    table = json.loads(charlm("classify", "pets", "--file", "pets.tsv", "--json").out)
    long = charlm("classify", "The cat says meow. " * 20)

    assert "there is no checkpoint" in long.err  # a text, though no file could have this name
    assert [each["label"] for each in one] == ["cats", "dogs"]
    assert sum(one[0]["probabilities"].values()) == pytest.approx(1)
    assert [line.split()[0] for line in lines.splitlines() if "%" in line] == ["dogs", "cats"]
    assert "accuracy 100.00% of 4 frames; the most frequent label alone: 50.00%" in split.out
    assert table["confusion"] == [[50, 0], [0, 50]] and table["accuracy"] == 1


def test_an_evaluation_has_a_row_for_each_label(charlm, pets):
    shown = charlm("eval", "pets")
    found = json.loads(charlm("eval", "pets", "pets.tsv", "--json").out)
    one = json.loads(charlm("eval", "pets", "pets.tsv", "--label", "cats", "--json").out)

    assert "its test split, cats" in shown.out and "all texts" in shown.out
    assert [each["text"] for each in found["texts"]] == ["pets.tsv, cats", "pets.tsv, dogs"]
    assert found["num_tokens"] == sum(each["num_tokens"] for each in found["texts"])
    assert one["num_tokens"] > found["num_tokens"]  # the table itself, tabs, labels and all
    assert float(charlm("eval", "pets", "--perplexity").out) > 1
    assert charlm("score", "pets", "pets.tsv", "--label", "cats", "--by", "line").status == 0


def test_mistakes_are_one_line(charlm, pets, trained, tmp_path):
    (tmp_path / "cows.tsv").write_text("cows\tMoo\n")
    (tmp_path / "empty.tsv").write_text("")
    (tmp_path / "blank.txt").write_text("\n \n")
    (tmp_path / "one.tsv").write_text("cats\tThe cat\ncats\tA cat\n")
    for arguments, said in (
        (("generate", "pets"), "pets writes and reads under a label; add --label NAME: there are"),
        (("generate", "pets", "--label", "cows"), "knows no label 'cows'; there are cats, dogs"),
        (("generate", "pets", "--label", "cats=x"), "the weight in 'cats=x' must be a number"),
        (("generate", "pets", "--label", "cats=0"), "must be above 0, not 0"),
        (("generate", "pets", "--label", "cats", "--label", "dogs"), "several labels need weights"),
        (("generate", "pets", "--label", "a=1", "--label", "a=2"), "names 'a' twice"),
        (("generate", "tale", "--label", "cats"), "was trained without labels"),
        (("score", "pets", "pets.tsv"), "writes and reads under a label"),
        (("play", "pets"), "writes and reads under a label"),
        (("eval", "pets", "--baseline", 3), "--baseline needs texts under one label"),
        (("eval", "pets", "--mix", "ngram"), "models of labels are not mixed; leave out --mix"),
        (("eval", "pets", "--cache-size", 5), "--cache-size has no effect without --cache"),
        (("eval", "pets", "--context", "frame"), "--context needs texts under one label"),
        (("eval", "pets", "cows.tsv"), "has the label 'cows', which the model does not know"),
        (("eval", "pets", "--label", "cats", "--context", "stream"), "leave out --context stream"),
        (("eval", "pets", "--label", "cats", "--mix", "ngram"), "leave out --mix or --label"),
        (("classify", "tale", "text"), "was trained without labels and tells none apart"),
        (("classify", "pets", "--file", "cows.tsv"), "has the label 'cows'"),
        (("classify", "pets", "--file", "empty.tsv"), "empty.tsv is empty"),
        (("classify", "pets", "--file", "blank.txt"), "blank.txt holds no texts"),
        (("classify", "pets", "a", "--split", "test"), "a text and --split exclude each other"),
        (("classify", "pets", " "), "a text is empty"),
        (("train", "one.tsv", "--label", "both"), "has the label 'cats' alone"),
        (("train", "pets.tsv", "--label", "both", "--label-column", "kind"), "no column 'kind'"),
        (("train", "pets.tsv", "--text-column", "kind"), "--text-column has no effect without --l"),
        (("train", "nowhere", "--label", "both"), "nowhere has no labels; name a .tsv"),
    ):
        result = charlm(*arguments)
        assert (result.status, result.out, result.err.count("\n")) == (1, "", 1), arguments
        assert said in result.err, (arguments, result.err)
