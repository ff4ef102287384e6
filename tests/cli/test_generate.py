import json

import pytest


def test_a_seed_repeats_the_text(trained):
    first = trained("generate", "--seed", 4, "-n", 30, "-p", "The ")
    again = trained("generate", "--seed", 4, "-n", 30, "-p", "The ")

    assert first.out == again.out
    assert first.out.startswith("The ") and first.out.endswith("\n")
    assert len(first.out) == 35


def test_several_texts_have_a_blank_line_between(trained):
    result = trained("generate", "--seed", 4, "-n", 5, "--num-return-sequences", 3, "-p", "AB")

    assert result.out.count("AB") == 3
    assert "\n\nAB" in result.out


def test_json_holds_prompt_text_and_seed(trained):
    result = trained("generate", "--json", "-n", 5, "-p", "The", "--num-return-sequences", 2)

    content = json.loads(result.out)
    assert [text["prompt"] for text in content["texts"]] == ["The", "The"]
    repeated = trained("generate", "-n", 5, "-p", "The", "--seed", content["seed"])
    assert repeated.out == "The" + content["texts"][0]["text"] + "\n"


def test_a_beam_reports_its_scores(trained):
    texts = json.loads(
        trained("generate", "--beam", 3, "--num-return-sequences", 3, "-n", 8, "--json").out
    )["texts"]

    assert [t["score"] for t in texts] == sorted((t["score"] for t in texts), reverse=True)
    for text in texts:
        assert text["score"] == pytest.approx(text["log_prob"] / 8) or text["finished"]


def test_characters_never_seen_are_named_and_read_as_other(trained):
    result = trained("generate", "-p", "Ω fox Ж", "-n", 5, "--seed", 1)

    assert result.status == 0
    assert result.out.startswith("Ω fox Ж")
    assert result.err == "the model has never seen 'Ω', 'Ж': read as <other>.\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--greedy", "--temperature", 0.5], "exclude each other"),
        (["--beam", 3, "--temperature", 0.5], "leave out --temperature"),
        (["--beam", 3, "--greedy"], "leave out"),
        (["--length-penalty", 2], "--length-penalty has no effect"),
        (["--early-stopping"], "--early-stopping has no effect"),
        (["--greedy", "--seed", 1], "--seed has no effect"),
        (["--greedy", "--num-return-sequences", 2], "greedy decoding has one result"),
        (["--beam", 2, "--num-return-sequences", 3], "a beam of 2 ends with 2"),
        (["--temperature", -1], "temperature must be 0 or more"),
        (["--temperature", "nan"], "temperature must be 0 or more"),
        (["no-such-model"], "no checkpoint no-such-model"),
    ],
)
def test_mistakes_are_one_line_and_status_1(trained, arguments, said):
    result = trained("generate", *arguments)

    assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
    assert said in result.err


def test_without_a_model_the_error_says_how_to_make_one(charlm):
    result = charlm("generate")

    assert result.err == "error: there is no checkpoint in checkpoints/ yet; run `charlm train`.\n"
