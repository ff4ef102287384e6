"""Reading backwards from the command line."""

import json

SMALL = ("--hidden-size", 16, "--batch-size", 4, "--bptt", 16)


def test_a_model_that_reads_backwards_writes_towards_an_ending(charlm, corpus):
    charlm("train", corpus, *SMALL, "--steps", 30, "--direction", "backward")

    written = charlm("generate", "--ending", " the moon.", "-n", 20, "--seed", 3)
    as_json = json.loads(
        charlm("generate", "--ending", " the moon.", "-n", 20, "--seed", 3, "--json").out
    )

    (text,) = as_json["texts"]
    assert written.status == 0
    assert written.out == f"{text['text']} the moon.\n"
    assert text["ending"] == " the moon." and "prompt" not in text
    assert charlm("eval", "--perplexity").status == 0
    assert "backward" in charlm("info").out


def test_what_makes_no_sense_backwards_is_one_line(charlm, corpus):
    charlm("train", corpus, *SMALL, "--steps", 3, "--direction", "backward", "-o", "back")
    charlm("train", corpus, *SMALL, "--steps", 3, "-o", "forth")

    for arguments, said in (
        (("generate", "back", "-p", "The"), "give what the text ends with, --ending"),
        (("generate", "forth", "--ending", "The"), "train with --direction backward"),
        (("generate", "back", "--show", "alternatives"), "--show needs a model that reads forw"),
        (("play", "back"), "reads backwards and cannot go on"),
        (("export", "back", "--arpa", "-"), "reads backwards, other programs do not"),
        (("score", "back", corpus, "--by", "word"), "knows words only if they are its tokens"),
    ):
        result = charlm(*arguments)
        assert (result.status, result.out, result.err.count("\n")) == (1, "", 1), arguments
        assert said in result.err
