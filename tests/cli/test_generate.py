"""`charlm generate`, as it is met: texts on stdout, in files, as JSON, painted; or why not."""

import errno
import json
import math
from dataclasses import fields
from inspect import signature
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.api import load
from charlm.cli.generate import MAX_SHOWN, NOT_SETTINGS, parse_bias
from charlm.cli.generate import generate as command
from charlm.decoding import DecodingConfig
from charlm.errors import ConfigError

PROMPTS = ["The fox", "", "a ", "it was the fox and the", "The"]
SEARCHES = {
    "beam": ["--beam", 4, "--num-return-sequences", 4, "-n", 6],
    "groups": ["--beam", 4, "--beam-groups", 2, "--diversity-penalty", 1, "-n", 6],
    "exhaustive": ["--exhaustive", "--num-return-sequences", 5, "-n", 4],
    "without replacement": [
        *("--without-replacement", "--seed", 3, "--num-return-sequences", 5, "-n", 6)
    ],
}
MODES = {
    "sampling": ["--seed", 3, "--num-return-sequences", 5, "-n", 6],
    "greedy": ["--greedy", "-n", 6],
    **SEARCHES,
}


def texts_of(result):
    """The records of --json, where all went well."""
    assert (result.status, result.err) == (0, "")
    return json.loads(result.out)["texts"]


def lines_of(result):
    """The records of --jsonl, where all went well."""
    assert (result.status, result.err) == (0, "")
    return [json.loads(line) for line in result.out.splitlines()]


def said(result):
    """What is wrong: one line on stderr, status 1, nothing on stdout."""
    assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
    assert result.err.startswith("error: ")
    return result.err


# --- text, and what repeats it


def test_a_seed_repeats_the_text_and_another_gives_another(generate):
    first, again, other = (generate("--seed", s, "-n", 30, "-p", "The ") for s in (4, 4, 5))

    assert (first.status, first.err) == (0, "")
    assert first.out == again.out != other.out
    assert first.out.startswith("The ") and first.out.endswith("\n")
    assert len(first.out) == len("The ") + 30 + 1


def test_without_a_seed_every_text_is_another(generate):
    assert generate("-n", 30).out != generate("-n", 30).out


def test_without_a_prompt_the_text_begins_with_nothing(generate):
    assert generate("--greedy", "-n", 7).out == generate("--greedy", "-n", 7, "-p", "").out
    assert len(generate("--greedy", "-n", 7).out) == 8


def test_a_text_is_at_most_400_tokens_by_default(generate):
    assert len(generate("--greedy").out) == 401


@pytest.mark.parametrize(
    "flags", [["--temperature", 0], ["--temperature", 0.0], ["--top-k", 1], ["--beam", 1]], ids=str
)
def test_four_ways_to_say_greedy_give_one_text(generate, flags):
    greedy = generate("--greedy", "-n", 40, "-p", "The")

    other = generate(*flags, "-n", 40, "-p", "The")

    assert other.out == greedy.out
    assert (other.status, other.err) == (0, "")


def test_the_newest_checkpoint_writes_where_none_is_named(trained):
    result = trained("generate", "--greedy", "-n", 5, "-p", "The")

    assert result.out == trained("generate", "tale", "--greedy", "-n", 5, "-p", "The").out
    assert result.out.startswith("The")


def test_without_a_model_the_error_says_how_to_make_one(charlm):
    assert said(charlm("generate")) == (
        "error: there is no checkpoint in checkpoints/ yet; run `charlm train`.\n"
    )


def test_every_setting_of_decoding_is_an_option():
    options = set(signature(command).parameters) - {"context", *NOT_SETTINGS}

    assert options == {field.name for field in fields(DecodingConfig)}


def test_characters_never_seen_are_named_once_and_read_as_other(generate):
    result = generate("-p", "Ω fox Ж Ω", "-n", 5, "--seed", 1)

    assert result.status == 0
    assert result.out.startswith("Ω fox Ж Ω")
    assert result.err == "the model has never seen 'Ω', 'Ж': read as <other>.\n"


CHAT = "The fox\nThe moon\nThe Ω"


def test_line_breaks_part_the_frames_of_a_model_of_lines(charlm, corpus):
    small = ("--hidden-size", 16, "--batch-size", 4, "--bptt", 16, "--steps", 4)
    for name, more in (("chat", []), ("notes", ["--independent-frames"])):
        charlm("train", corpus, *small, "--frame", "line", *more, "-o", name)
    arguments = ("-p", CHAT, "-n", 5, "--seed", 1)

    read, alone = charlm("generate", "chat", *arguments), charlm("generate", "notes", *arguments)

    unseen = "the model has never seen 'Ω': read as <other>.\n"
    assert read.out.startswith(CHAT) and alone.out.startswith(CHAT)
    assert read.err == unseen
    assert alone.err == (
        "the model reads each line by itself (--independent-frames): only the last one of the "
        f"prompt is read.\n{unseen}"
    )


def test_what_several_prompts_hold_is_named_once(generate, tmp_path):
    (tmp_path / "prompts.txt").write_text("The\nΩ fox\nЖ\nΩ\n")

    result = generate("--prompts", "prompts.txt", "-n", 5, "--seed", 1)

    assert result.err == "the model has never seen 'Ω', 'Ж': read as <other>.\n"


def test_of_many_characters_never_seen_some_are_named_and_the_rest_counted(generate):
    strange = "".join(map(chr, range(0x4E00, 0x4E00 + MAX_SHOWN + 7)))

    result = generate("-p", strange, "-n", 1, "--seed", 1)

    assert result.err.count("'") == 2 * MAX_SHOWN
    assert result.err.endswith(" and 7 more: read as <other>.\n")


# --- prompts


@pytest.mark.parametrize(
    ("level", "stop"), [("char", -100.0), ("char", 3.5), ("word", -100.0), ("word", 1.0)]
)
def test_many_prompts_give_what_each_gives_by_itself_in_their_order(
    generate, tmp_path, level, stop
):
    (tmp_path / "prompts.txt").write_text("\n".join(PROMPTS) + "\n")
    how = ("--seed", 7, "-n", 12, "--num-return-sequences", 3, "--jsonl")
    alone = [
        record
        for prompt in PROMPTS
        for record in lines_of(generate("-p", prompt, *how, level=level, stop=stop))
    ]

    for batch_size in (1, 2, 4, 64):
        batch = ("--prompts", "prompts.txt", "--batch-size", batch_size)
        assert lines_of(generate(*batch, *how, level=level, stop=stop)) == alone

    assert [record["prompt"] for record in alone] == [p for p in PROMPTS for _ in range(3)]
    assert {record["end"] for record in alone} == ({"length"} if stop < 0 else {"length", "<stop>"})
    plain = generate("--prompts", "prompts.txt", *how[:-1], level=level, stop=stop)
    assert plain.out == "\n".join(f"{r['prompt']}{r['text']}\n" for r in alone)


def test_the_texts_of_a_prompt_do_not_depend_on_how_many_there_are(generate):
    how = ("-p", "The", "--seed", 7, "-n", 12, "--jsonl", "--num-return-sequences")
    few, many = (lines_of(generate(*how, number)) for number in (2, 6))

    assert few == many[:2]
    assert len({record["text"] for record in many}) == 6


def test_a_prompt_comes_from_a_file_or_from_standard_input(generate, tmp_path, stdin):
    (tmp_path / "p.txt").write_bytes(b"The fox\r\n")
    stdin(b"The fox\r\n")

    wanted = generate("--greedy", "-n", 5, "-p", "The fox").out

    assert generate("--greedy", "-n", 5, "-p", "@p.txt").out == wanted
    assert generate("--greedy", "-n", 5, "-p", "-").out == wanted


def test_two_at_signs_stand_for_one(generate):
    result = generate("--greedy", "-n", 5, "-p", "@@fox")

    assert result.out.startswith("@fox")


def test_prompts_come_from_standard_input_too(generate, stdin):
    stdin(b"The\r\na")

    result = generate("--greedy", "-n", 3, "--prompts", "-")

    alone = [generate("--greedy", "-n", 3, "-p", prompt).out for prompt in ("The", "a")]
    assert result.out == "\n".join(alone)


# --- where texts go


@pytest.mark.parametrize("mode", MODES)
def test_every_output_holds_the_same_texts(generate, tmp_path, mode):
    def run(*arguments):
        return generate("-p", "ab", *MODES[mode], *arguments, level="tiny", stop=1.0)

    records = texts_of(run("--json"))
    texts = [record["prompt"] + record["text"] for record in records]

    assert run().out == "\n".join(text + "\n" for text in texts)
    assert [{**r, "seed": None} for r in lines_of(run("--jsonl"))] == [
        {**r, "seed": None} for r in records
    ]
    for arguments in ([], ["--json"], ["--jsonl"], ["--jsonl", "--logprobs"]):
        printed, written = run(*arguments), run(*arguments, "-o", "out.txt")
        assert (written.out, written.err, written.status) == ("", "", 0)
        assert (tmp_path / "out.txt").read_bytes() == printed.out.encode()
    assert run("-o", "new/folder/").out == ""
    files = sorted((tmp_path / "new" / "folder").iterdir())
    assert [file.name for file in files] == [f"{i:04}.txt" for i in range(1, len(texts) + 1)]
    assert [file.read_bytes().decode() for file in files] == [text + "\n" for text in texts]


def test_a_folder_that_is_there_gets_a_file_a_text_without_a_slash(generate, tmp_path):
    (tmp_path / "folder").mkdir()

    generate("--greedy", "-n", 5, "-o", "folder")

    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["0001.txt"]


def test_json_holds_the_seed_that_repeats_it(generate):
    content = json.loads(generate("--json", "-n", 9, "-p", "The", "--num-return-sequences", 2).out)

    again = generate("-n", 9, "-p", "The", "--seed", content["seed"])
    assert again.out == "The" + content["texts"][0]["text"] + "\n"
    assert [set(text) for text in content["texts"]] == [{"prompt", "text", "end"}] * 2


@pytest.mark.parametrize("mode", ["greedy", "beam", "groups", "exhaustive"])
def test_what_is_not_drawn_has_no_seed(generate, mode):
    assert json.loads(generate("--json", *MODES[mode], level="tiny").out)["seed"] is None


@pytest.mark.parametrize("mode", SEARCHES)
def test_what_is_searched_for_comes_best_first(generate, mode):
    how = ["--num-return-sequences", 4] if mode == "groups" else []

    records = texts_of(generate(*MODES[mode], *how, "--json", level="tiny", stop=1.0))

    scores = [record["score"] for record in records]
    assert len(records) >= 4
    assert scores == sorted(scores, reverse=True)
    assert len({(record["text"], record["end"]) for record in records}) == len(records)


def test_a_score_is_log_p_by_length(generate):
    how = ("--beam", 3, "--num-return-sequences", 3, "-n", 8, "--json")

    for penalty, length in ((0, 1), (1, 8), (2, 64)):
        for record in texts_of(generate(*how, "--length-penalty", penalty)):
            assert record["score"] == pytest.approx(record["log_prob"] / length)


def test_a_beam_of_all_finds_what_looking_at_all_finds(generate):
    how = ("--num-return-sequences", 6, "-n", 3, "--json", "-p", "a")

    all_texts, beam = (
        texts_of(generate(*how, *flags, level="tiny", stop=1.0))
        for flags in (["--exhaustive"], ["--beam", 200])
    )

    assert [r["text"] for r in beam] == [r["text"] for r in all_texts]
    assert [r["score"] for r in beam] == pytest.approx([r["score"] for r in all_texts])


# --- log-probabilities


@pytest.mark.parametrize("level", ["char", "word", "byte", "bpe"])
def test_logprobs_are_the_models_own(generate, models, level):
    how = ("-p", "The fox", "-n", 6, "--seed", 5, "--temperature", 1.5, "--json", "--logprobs")

    (record,) = texts_of(generate(*how, level=level))

    lm = load(models(level, -100.0), "cpu")
    tokenizer, state = lm.tokenizer, lm.model.initial_state(1)
    config = DecodingConfig(temperature=1.5, max_new_tokens=6)
    (generation,) = lm.generate_many(["The fox"], config, seed=5)
    read = [tokenizer.start_id, *tokenizer.encode("The fox")]
    assert len(record["tokens"]) == len(generation.tokens) == 6
    with torch.inference_mode():
        for step, token in enumerate([*read, *generation.tokens][:-1]):
            logits, state = lm.model.step(torch.tensor([token]), state)
            if (place := step - len(read) + 1) < 0:
                continue
            log_probs, written = logits[0].double().log_softmax(-1), generation.tokens[place]
            found, best = record["tokens"][place], log_probs.topk(5)
            alternatives = found["alternatives"]
            assert found["token"] == tokenizer.token(written)
            assert found["log_prob"] == pytest.approx(float(log_probs[written]), abs=1e-4)
            values = [alternative["log_prob"] for alternative in alternatives]
            assert values == pytest.approx(best.values.tolist(), abs=1e-4)
            assert values == sorted(values, reverse=True)
            names = [alternative["token"] for alternative in alternatives]
            assert set(names) == {tokenizer.token(i) for i in best.indices.tolist()}


@pytest.mark.parametrize("mode", ["beam", "groups", "exhaustive", "without replacement"])
def test_logprobs_sum_up_to_the_log_probability_of_a_text(generate, mode):
    records = texts_of(generate(*MODES[mode], "--json", "--logprobs", level="tiny", stop=3.0))

    assert records
    for record in records:
        total = sum(token["log_prob"] for token in record["tokens"])
        assert total == pytest.approx(record["log_prob"], abs=1e-4)


def test_the_tokens_of_logprobs_spell_the_text_and_its_end(generate):
    how = ("--json", "--logprobs", "--seed", 2, "--num-return-sequences", 20, "-n", 8)

    records = texts_of(generate(*how, stop=2.5))

    for record in records:
        spelt = "".join(token["token"] for token in record["tokens"])
        assert spelt == record["text"] + ("<stop>" if record["end"] == "<stop>" else "")
    assert {record["end"] for record in records} == {"<stop>", "length"}


@pytest.mark.parametrize("level", ["char", "word", "byte", "bpe"])
def test_shown_alternatives_begin_with_the_text_itself(generate, level):
    how = ("-p", "The fox", "-n", 12, "--seed", 5)

    shown = generate(*how, "--show", "alternatives", level=level)

    assert (shown.status, shown.err) == (0, "")
    assert shown.out.startswith(generate(*how, level=level).out)
    assert "\x1b" not in shown.out
    assert "12 tokens" in shown.out


@pytest.mark.parametrize("level", ["char", "byte", "bpe"])
def test_line_breaks_of_a_text_are_line_breaks_where_alternatives_are_shown(generate, level):
    how = ("-p", "The fox", "-n", 2, "--seed", 5, "--bias", "\n=100")

    shown = generate(*how, "--show", "alternatives", level=level)

    assert shown.out.startswith("The fox\n\n")


def test_each_text_has_its_alternatives_shown(generate, tmp_path):
    (tmp_path / "prompts.txt").write_text("The\nfox\n")
    how = ("--prompts", "prompts.txt", "--num-return-sequences", 2, "-n", 3)

    shown = generate(*how, "--show", "alternatives", "--seed", 1)

    assert shown.out.count("most probable") == shown.out.count("ended by length") == 4


def test_the_beams_of_every_prompt_are_shown_with_what_was_found(generate, tmp_path):
    (tmp_path / "prompts.txt").write_text("The\nfox\n")
    how = ("--prompts", "prompts.txt", "--beam", 2, "-n", 3)

    shown = generate(*how, "--show", "beams")

    assert (shown.status, shown.err) == (0, "")
    assert "\x1b" not in shown.out
    assert shown.out.count("found, best first") == 2
    assert all(
        record["prompt"] + record["text"] in shown.out
        for record in texts_of(generate(*how, "--json"))
    )


# --- what may be written


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("stop", ["a", "ab", "b=", "ba"])
def test_a_stop_string_is_never_printed(generate, mode, stop):
    how = (*MODES[mode], "-p", "ab", "--stop", stop, "--stop", "==b", "--json")

    records = texts_of(generate(*how, level="tiny"))

    assert records
    for record in records:
        assert stop not in record["text"] and "==b" not in record["text"]
        assert record["end"] in ("stop string", "length")


@pytest.mark.parametrize(
    ("level", "stop"),
    [*(("char", text) for text in (". ", "\n", "e", "he", "e t")), ("word", "the"), ("bpe", "e ")],
)
def test_a_text_ends_before_the_stop_string_it_would_hold(generate, level, stop):
    how = ("--seed", 5, "-n", 200, "-p", "The", "--num-return-sequences", 4, "--json")

    whole = texts_of(generate(*how, level=level))
    cut = texts_of(generate(*how, "--stop", stop, "--stop", "never written", level=level))

    assert [c["text"] for c in cut] == [w["text"].split(stop)[0] for w in whole]
    assert [c["end"] == "stop string" for c in cut] == [stop in w["text"] for w in whole]
    assert any(stop in w["text"] for w in whole)


def test_a_text_that_could_have_become_a_stop_string_is_printed_whole(generate):
    how = ("--greedy", "-n", 12, "-p", "The")
    text = generate(*how).out

    assert generate(*how, "--stop", text.rstrip("\n")[-3:] + "☃").out == text


def test_neither_stop_nor_a_stop_string_ends_a_text_too_soon(generate):
    how = ("--seed", 1, "--num-return-sequences", 8, "-n", 30, "--jsonl", "--stop", "e")

    records = lines_of(generate(*how, "--min-new-tokens", 9, stop=5.0))

    assert all(len(record["text"]) >= 8 for record in records)
    assert {record["end"] for record in records} >= {"<stop>"}


@pytest.mark.parametrize("mode", [m for m in MODES if m != "exhaustive"])
def test_a_banned_string_is_never_written_by_characters(generate, mode):
    how = [value if value != 6 else 60 for value in MODES[mode]]
    free = texts_of(generate(*how, "-p", "Th", "--json"))

    records = texts_of(generate(*how, "-p", "Th", "--json", "--ban", "he", "--ban", "d "))

    assert any("he" in record["prompt"] + record["text"] for record in free)
    for record in records:
        assert len(record["text"]) == 60
        assert "he" not in "Th" + record["text"] and "d " not in record["text"]


def test_a_banned_word_is_never_written_by_words(generate):
    how = ("-n", 200, "--seed", 1, "--jsonl", "--logprobs")
    free, barred = (
        {token["token"] for token in lines_of(generate(*how, *ban, level="word"))[0]["tokens"]}
        for ban in ([], ["--ban", "the", "--ban", ","])
    )

    assert {"the", ","} <= free
    assert not {"the", ","} & barred


@pytest.mark.parametrize(
    ("level", "prompt", "token", "written"),
    [("char", "The", "e", "eeee"), ("word", "The", "was", " was was was was")],
)
def test_a_bias_makes_a_token_certain_or_impossible(generate, level, prompt, token, written):
    how = ("-p", prompt, "-n", 4, "--seed", 1)

    favoured = generate(*how, "--bias", f"{token}=100", level=level)
    shunned = generate(*how, "--bias", f"{token}=-100", "--bias", "<stop>=-1", level=level)

    assert favoured.out == f"{prompt}{written}\n"
    assert token not in shunned.out.removeprefix(prompt)


def test_a_bias_on_stop_ends_texts(generate):
    assert generate("-p", "The", "--bias", "<stop>=1000", "--seed", 1).out == "The\n"


def test_other_is_written_only_where_it_is_allowed(generate):
    how = ("-n", 5, "--seed", 1, "--bias", "<other>=100", "--allow-other")

    assert generate(*how).out == "<other>" * 5 + "\n"
    assert "<other>" not in generate("-n", 200, "--seed", 1, "--temperature", 5).out


@given(st.text(min_size=1), st.floats(allow_nan=False))
@settings(max_examples=50)
def test_a_bias_is_a_token_and_a_number_whatever_the_token_holds(token, value):
    assert parse_bias(f"{token}={value!r}") == (token, value)


@pytest.mark.parametrize("text", ["e", "", "e=", "e=x", "=", "e=2=x", "e:2"])
def test_a_bias_without_a_number_is_refused(text):
    with pytest.raises(ConfigError, match="TOKEN=VALUE"):
        parse_bias(text)


# --- what cannot be done


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--temperature", -1], "temperature must be 0 or more, not -1"),
        (["--temperature", "nan"], "temperature must be 0 or more"),
        (["--temperature", "inf"], "temperature must be"),
        (["--top-p", 0], "above 0 and at most 1, not 0"),
        (["--top-p", 2], "above 0 and at most 1, not 2"),
        (["--min-p", 2], "from 0 to 1, not 2"),
        (["--min-p", -0.5], "from 0 to 1, not -0.5"),
        (["--typical-p", 0], "above 0 and at most 1, not 0"),
        (["--top-k", 0], "at least 1, not 0"),
        (["--beam", 0], "at least 1, not 0"),
        (["-n", 0], "at least 1, not 0"),
        (["--num-return-sequences", 0], "at least 1, not 0"),
        (["--no-repeat-ngram-size", -1], "at least 0, not -1"),
        (["--repetition-penalty", 0], "from 0.0001 to 10,000, not 0"),
        (["--frequency-penalty", "nan"], "from -10,000 to 10,000"),
        (["--beam", 2, "--length-penalty", 11], "from -10 to 10, not 11"),
        (["--min-new-tokens", 9, "-n", 8], "at most max_new_tokens, 8, not 9"),
        (["--stop", ""], "not an empty one"),
        (["--stop", "a", "--stop", ""], "not an empty one"),
        (["--ban", ""], "not an empty one"),
        (["--bias", "=1"], "not an empty one"),
        (["--bias", "e"], "TOKEN=VALUE"),
        (["--bias", "e=much"], "TOKEN=VALUE"),
        (["--bias", "e=nan"], "the bias of 'e' must be from -10,000 to 10,000"),
        (["--bias", "e=1e9"], "the bias of 'e' must be from -10,000 to 10,000"),
        (["--bias", "the=1"], "'the' is 3 tokens of this char model; a bias takes one"),
        (["--bias", "Ж=1"], "'Ж'"),
        (["--bias", "<other>=1"], "add --allow-other"),
        (["--bias", "<start>=1"], "never written"),
        (["--ban", "Ж"], "'Ж'"),
        (["--ban", "fox Ж"], "Ж"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_a_setting_out_of_range_is_one_line(generate, arguments, why):
    assert why in said(generate(*arguments))


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--bias", "the fox=1"], "'the fox' is 2 tokens of this word model"),
        (["--bias", "zyzzyva=1"], "'zyzzyva'"),
        (["--ban", "zyzzyva"], "'zyzzyva'"),
        (["--ban", "the zyzzyva"], "zyzzyva"),
        (["--ban", " "], "' '"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_what_a_word_model_does_not_know_is_one_line(generate, arguments, why):
    assert why in said(generate(*arguments, level="word"))


@pytest.mark.parametrize(
    ("arguments", "flags"),
    [
        (["--greedy", "--top-k", 5], ["--top-k"]),
        (["--greedy", "--temperature", 1], ["--temperature"]),
        (["--greedy", "--temperature", 0.5], ["--temperature"]),
        (["--greedy", "--seed", 1], ["--seed"]),
        (["--greedy", "--num-return-sequences", 2], ["--num-return-sequences"]),
        (["--temperature", 0, "--top-k", 5], ["--top-k"]),
        (["--temperature", 0, "--seed", 1], ["--seed"]),
        (["--temperature", 0, "--length-penalty", 1], ["--length-penalty"]),
        (["--beam", 3, "--top-p", 0.5], ["--top-p"]),
        (["--beam", 3, "--top-p", 1], ["--top-p"]),
        (["--beam", 3, "--temperature", 0], ["--temperature"]),
        (["--beam", 3, "--greedy"], ["--beam", "--greedy"]),
        (["--beam", 3, "--seed", 1], ["--seed"]),
        (["--beam", 3, "--batch-size", 2], ["--batch-size"]),
        (["--beam", 3, "--without-replacement"], ["--beam", "--without-replacement"]),
        (["--exhaustive", "--beam", 2], ["--exhaustive", "--beam"]),
        (["--exhaustive", "--early-stopping"], ["--early-stopping"]),
        (["--without-replacement", "--batch-size", 2], ["--batch-size"]),
        (["--length-penalty", 1], ["--length-penalty"]),
        (["--early-stopping"], ["--early-stopping"]),
        (["--beam-groups", 2], ["--beam-groups"]),
        (["--beam-groups", 2, "--diversity-penalty", 1], ["--beam-groups"]),
        (["--beam", 4, "--beam-groups", 2], ["--beam-groups", "--diversity-penalty"]),
        (["--beam", 4, "--diversity-penalty", 1], ["--beam-groups", "--diversity-penalty"]),
        (["--beam", 4, "--beam-groups", 3, "--diversity-penalty", 1], ["beam of 4", "3 equal"]),
        (["--beam", 2, "--num-return-sequences", 3], ["beam of 2", "--num-return-sequences"]),
        (["--show", "beams"], ["--show beams", "--beam"]),
        (["--show", "beams", "--exhaustive", "-n", 1], ["--show beams", "--beam"]),
        (["--logprobs"], ["--logprobs", "--json"]),
        (["--json", "--jsonl"], ["--json", "--jsonl"]),
        (["--show", "alternatives", "--json"], ["--show", "--json"]),
        (["--show", "alternatives", "--jsonl"], ["--show", "--jsonl"]),
        (["--show", "alternatives", "-o", "x.txt"], ["--show", "--output"]),
        (["--show", "beams", "--beam", 2, "-o", "x.txt"], ["--show", "--output"]),
        (["-p", "a", "--prompts", "p.txt"], ["--prompt", "--prompts"]),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value[0], str) else "",
)
def test_settings_that_contradict_each_other_are_one_line(generate, tmp_path, arguments, flags):
    line = said(generate(*arguments))

    assert all(flag in line for flag in flags)
    assert not (tmp_path / "x.txt").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--no-such-option"],
        ["--top-k", "many"],
        ["--temperature", "hot"],
        ["--seed", -1],
        ["--seed", 2**63],
        ["--batch-size", 0],
        ["--show", "everything"],
        ["-n", 2.5],
        ["--prompt"],
    ],
    ids=lambda arguments: " ".join(map(str, arguments)),
)
def test_malformed_usage_is_status_2(generate, arguments):
    result = generate(*arguments)

    assert (result.status, result.out) == (2, "")
    assert "Traceback" not in result.err and arguments[0] in result.err.replace("Got", arguments[0])


@pytest.mark.parametrize("flags", [[], ["--greedy"], ["--beam", 2], ["--exhaustive", "-n", 2]])
def test_a_ban_on_everything_is_one_line(generate, flags):
    bans = [part for text in ("a", "b", "=", "\n", "<stop>") for part in ("--ban", text)]

    assert "--ban" in said(generate(*bans, *flags, level="tiny"))


def test_a_ban_on_everything_leaves_no_more_different_samples(generate):
    bans = [part for text in ("a", "b", "=", "\n", "<stop>") for part in ("--ban", text)]

    assert "--ban" in said(generate(*bans, "--without-replacement", level="tiny"))


def test_too_many_texts_to_look_at_are_counted(generate, models):
    symbols = load(models("tiny", -100.0), "cpu").tokenizer.num_symbols
    count = sum(symbols**length for length in range(21))

    line = said(generate("--exhaustive", "-n", 20, level="tiny"))

    assert symbols == 4
    assert f" about 10^{math.floor(math.log10(count))} " in line or f" {count:,} " in line
    assert "--max-new-tokens" in line
    assert f" {sum(4**length for length in range(11)):,} " in said(
        generate("--exhaustive", "-n", 10, level="tiny")
    )


@pytest.mark.parametrize("flag", ["-p=@", "--prompts="])
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("missing.txt", "missing.txt does not exist"),
        ("empty.txt", "empty.txt"),
        ("folder", "folder is a folder"),
        ("latin.txt", "latin.txt is not UTF-8 at byte 4 (0xe9)"),
    ],
)
def test_a_prompt_file_that_cannot_be_read_is_one_line(generate, tmp_path, flag, name, why):
    (tmp_path / "empty.txt").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "latin.txt").write_bytes("The é\n".encode("latin-1"))
    option, _, mark = flag.partition("=")

    assert why in said(generate(option, mark + name))


@pytest.mark.parametrize("arguments", [["-p", "@"], ["--prompts", ""]], ids=str)
def test_a_prompt_file_without_a_name_is_one_line_that_says_so(generate, arguments):
    assert "is a folder" not in said(generate(*arguments))


def test_a_prompt_that_is_not_utf8_is_one_line(generate):
    assert "is not UTF-8" in said(generate("-p", "fox \udcff"))


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ("missing/x.txt", "cannot write missing/x.txt"),
        ("file/x.txt", "cannot write file/x.txt"),
        ("file/", "cannot write file"),
        ("/dev/full", "the disk is full"),
    ],
)
@pytest.mark.parametrize("mode", ["sampling", "beam"])
def test_an_output_that_cannot_be_written_is_one_line(generate, tmp_path, output, why, mode):
    (tmp_path / "file").write_text("here")

    assert why in said(generate(*MODES[mode], "-o", output))
    assert (tmp_path / "file").read_text() == "here"


@pytest.mark.parametrize("form", ["--json", "--jsonl"])
@pytest.mark.parametrize("output", ["folder", "folder/", "new/"])
def test_json_goes_to_a_file_and_not_to_a_folder(generate, tmp_path, form, output):
    (tmp_path / "folder").mkdir()

    assert f"{output} is a folder" in said(generate("-n", 3, form, "-o", output))
    assert not (tmp_path / "new").exists()


def test_a_folder_that_is_not_writable_is_one_line(generate, tmp_path, monkeypatch):
    really_open = Path.open

    def forbidden(path, *arguments, **settings):
        if not any("w" in argument for argument in arguments):
            return really_open(path, *arguments, **settings)
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", forbidden)
    assert "the folder is not writable" in said(generate("--greedy", "-n", 3, "-o", "x.txt"))
    monkeypatch.setattr(Path, "mkdir", lambda path, **settings: forbidden(path, "w"))
    assert "the folder is not writable" in said(generate("--greedy", "-n", 3, "-o", "new/"))


def test_an_output_without_a_name_is_refused(generate, tmp_path):
    said(generate("--greedy", "-n", 3, "-o", ""))

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [["no-such-model"], ["folder"]])
def test_what_is_no_model_is_one_line(charlm, tmp_path, arguments):
    (tmp_path / "folder").mkdir()

    assert "checkpoint" in said(charlm("generate", *arguments))


def test_a_bias_given_twice_is_refused(generate):
    assert "'e'" in said(generate("--bias", "e=1", "--bias", "e=2", "-n", 3))


def test_json_of_bytes_that_are_no_text_is_utf8_all_the_same(generate, tmp_path):
    (tmp_path / "p.bin").write_bytes(b"fox \xff")

    generate("-p", "@p.bin", "-n", 2, "--greedy", "--json", "-o", "out.json", level="byte")

    (record,) = json.loads((tmp_path / "out.json").read_bytes().decode("utf-8"))["texts"]
    assert record["prompt"] == "fox \udcff"


def test_text_of_bytes_goes_out_byte_for_byte(generate, tmp_path):
    (tmp_path / "p.bin").write_bytes(b"fox \xff")

    generate("-p", "@p.bin", "-n", 2, "--greedy", "-o", "out.bin", level="byte")

    assert (tmp_path / "out.bin").read_bytes().startswith(b"fox \xff")


# --- a cache


CACHE = ["--cache", "--cache-size", 40, "--cache-flatness", 0.5, "--cache-weight", 0.6]


@pytest.mark.parametrize("mode", ["sampling", "greedy", "beam", "without replacement"])
@pytest.mark.parametrize("level", ["char", "word"])
def test_with_a_cache_texts_are_those_of_the_loaded_model_with_it(generate, models, mode, level):
    lm = load(models(level, -100.0), "cpu").with_cache(size=40, flatness=0.5, weight=0.6)
    arguments = [*MODES[mode], "-p", "The fox"]

    found = texts_of(generate(*arguments, *CACHE, "--json", level=level))
    plain = texts_of(generate(*arguments, "--json", level=level))

    settings = {"sampling": {}, "greedy": {"greedy": True}, "beam": {"beam": 4}}
    settings["without replacement"] = {"without_replacement": True}
    number = {} if mode == "greedy" else {"num_return_sequences": len(found)}
    config = DecodingConfig(max_new_tokens=6, **settings[mode], **number)
    expected = lm.generate_many(["The fox"], config, seed=3)
    assert [text["text"] for text in found] == [text.text for text in expected]
    assert found != plain


@pytest.mark.parametrize("batch_size", [1, 3])
def test_with_a_cache_batches_change_nothing(generate, batch_size):
    arguments = [*MODES["sampling"], *CACHE, "-p", "The "]

    assert generate(*arguments, "--batch-size", batch_size).out == generate(*arguments).out


@pytest.mark.parametrize("setting", [CACHE[1:3], CACHE[3:5], CACHE[5:]], ids=str)
def test_each_setting_of_the_cache_has_an_effect_and_only_with_it(generate, setting):
    arguments = ["--seed", 3, "-n", 60, "-p", "The fox and the hen "]
    strong = ["--cache", "--cache-weight", 0.5, *setting]

    texts = {generate(*arguments, *flags).out for flags in ([], strong[:3], strong)}

    assert len(texts) == 3
    assert f"{setting[0]} has no effect without --cache" in said(generate(*arguments, *setting))


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        (["--cache-size", 0], "1 to 100,000 tokens, not 0"),
        (["--cache-size", 100_001], "1 to 100,000 tokens, not 100001"),
        (["--cache-size", 10**30], "must be a whole number"),
        (["--cache-weight", 1], "above 0 and below 1"),
        (["--cache-flatness", -1], "0 or more"),
    ],
    ids=str,
)
def test_a_cache_that_cannot_be_is_one_line(generate, setting, why):
    assert why in said(generate("--cache", *setting, "-n", 3))
