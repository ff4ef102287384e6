import json

import pytest

KEYS = [
    "perplexity",
    "perplexity_excluding_other",
    "ppl1",
    "nats_per_token",
    "bits_per_token",
    "bits_per_char",
    "bits_per_byte",
    "total_nats",
    "num_tokens",
    "num_other",
    "num_words",
    "num_chars",
    "num_bytes",
    "other_rate",
    "standard_error",
]


def test_json_has_all_measures_by_name(trained):
    content = json.loads(trained("eval", "--json").out)

    assert sorted(content) == sorted(KEYS)


def test_perplexity_alone_is_one_number(trained):
    content = json.loads(trained("eval", "--json").out)

    assert trained("eval", "--perplexity").out == f"{content['perplexity']:.4f}\n"


def test_the_table_names_measures_values_and_meanings(trained):
    out = trained("eval", "--split", "valid").out

    assert "its valid split" in out
    for key in KEYS:
        assert key in out


def test_a_named_text_is_measured_by_the_newest_model_or_a_named_one(trained, corpus):
    newest = trained("eval", corpus, "--json").out
    named = trained("eval", "tale", corpus, "--json").out

    assert newest == named
    assert json.loads(named)["num_chars"] == 8000


def test_several_texts_add_up(trained, tmp_path):
    (tmp_path / "a.txt").write_text("The fox.")
    (tmp_path / "b.txt").write_text("The hen sat.")

    content = json.loads(trained("eval", "a.txt", "b.txt", "--json").out)

    assert (content["num_chars"], content["num_tokens"]) == (20, 22)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--split", "test", "tale.txt"], "--split has no effect"),
        (["--perplexity", "--json"], "exclude each other"),
        (["nothing"], "neither a checkpoint nor a text"),
        (["checkpoints"], "neither a checkpoint nor a text"),
        (["tale", "missing.txt"], "missing.txt does not exist"),
        (["empty.txt"], "empty.txt is empty"),
    ],
)
def test_mistakes_are_one_line_and_status_1(trained, tmp_path, arguments, said):
    (tmp_path / "empty.txt").write_text("")

    result = trained("eval", *arguments)

    assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
    assert said in result.err


def test_a_split_that_is_empty_says_what_to_do(charlm, corpus):
    small = ("--hidden-size", 8, "--steps", 2, "--split", "90/10/0")
    charlm("train", corpus, *small)

    result = charlm("eval")

    assert result.status == 1
    assert "has no test part" in result.err
