"""Models of both directions from the command line."""

import io
import json

SMALL = ("--hidden-size", 16, "--batch-size", 4, "--bptt", 16)


def test_both_halves_are_trained_and_fill_blanks(charlm, corpus):
    trained = charlm("train", corpus, *SMALL, "--steps", 30, "--direction", "both", "-o", "both")
    filled = charlm("fill", "both", "The ___ ate the moon.", "--top", 3, "--width", 5)
    as_json = json.loads(charlm("fill", "both", "A ___.", "--max-blank-tokens", 2, "--json").out)

    assert trained.status == filled.status == 0
    assert "now the backward half, in both/backward: 30 steps as before" in trained.err
    assert [line.split()[-1] for line in filled.out.splitlines() if "%" in line] == ["moon."] * 3
    shares = [each["candidate_share"] for each in as_json["fillings"]]
    assert as_json["text"] == "A ___." and shares == sorted(shares, reverse=True)
    assert all(len(each["fillings"][0]) in (1, 2) for each in as_json["fillings"])


def test_the_probability_is_named_for_what_it_is(charlm, corpus):
    charlm("train", corpus, *SMALL, "--steps", 5, "--direction", "both", "-o", "both")
    text = ("fill", "both", "The ___ ate.", "--max-blank-tokens", 1)

    exact, some = charlm(*text), charlm(*text, "--width", 5)
    as_json = json.loads(charlm(*text, "--json", "--top", 100).out)

    assert exact.out.split()[:2] == ["P", "log"]
    assert "P: among all " in exact.out.splitlines()[-1]
    assert some.out.split()[:2] == ["share", "log"]
    assert some.out.splitlines()[-1].startswith("share: of the ")
    probabilities = [each["probability"] for each in as_json["fillings"]]
    assert abs(sum(probabilities) - 1) < 1e-9


def test_who_writes_is_said(charlm, corpus):
    charlm("train", corpus, *SMALL, "--steps", 5, "--direction", "both", "-o", "both")

    forward = charlm("generate", "both", "-p", "The", "-n", 5, "--seed", 1)
    backward = charlm("generate", "both", "--ending", "moon.", "-n", 5, "--seed", 1)

    assert forward.out.startswith("The") and "its forward half writes" in forward.err
    assert backward.out.endswith("moon.\n") and "its backward half writes" in backward.err


def test_left_and_right_context_from_the_command_line(charlm, corpus):
    charlm("train", corpus, *SMALL, "--steps", 60, "--direction", "both", "-o", "both")
    charlm("train", corpus, *SMALL, "--steps", 5, "-o", "forward")

    both = charlm("eval", "both", "--context", "both", "--json")
    rows = charlm("score", "both", corpus, "--context", "both").out.splitlines()

    assert "-both-" in json.loads(both.out)["fingerprint"]
    assert len(rows) == 8002 and all(float(row.split("\t")[3]) >= 0 for row in rows[1:])
    for arguments, said in (
        (("eval", "forward", "--context", "both"), "forward reads forwards only"),
        (("eval", "both", "--context", "both", "--cache"), "leave out --mix, --baseline, --dyn"),
        (("eval", "both", "--context", "both", "--baseline", 3), "leave out --mix, --baseline"),
        (("eval", "both", "--context", "both", "--mix", "ngram"), "leave out --mix"),
        (("score", "both", corpus, "--context", "both", "--by", "word"), "knows words only if"),
    ):
        result = charlm(*arguments)
        assert (result.status, result.out, result.err.count("\n")) == (1, "", 1), arguments
        assert said in result.err


def test_both_halves_learn_from_standard_input(charlm, corpus, monkeypatch):
    with corpus.open("rb") as text:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(text))
        result = charlm("train", "-", *SMALL, "--steps", 3, "--direction", "both", "-o", "both")

    assert result.status == 0, result.err
    assert charlm("fill", "both", "a ___").status == 0


def test_mistakes_are_one_line(charlm, trained):
    for arguments, said in (
        (("fill", "no blank"), "the text has no blank; write ___ where something is missing"),
        (("fill", "a ___"), "checkpoints/tale reads forwards only"),
        (("fill", "tale", "the", "___"), "expected a checkpoint and a text, not 3 names"),
        (("fill", "nowhere", "a ___"), "expected a checkpoint and a text, not 2 names"),
        (("fill", "a ___", "--top", 0), "num_fillings must be at least 1, not 0"),
    ):
        result = charlm(*arguments)
        assert (result.status, result.out, result.err.count("\n")) == (1, "", 1), arguments
        assert said in result.err
