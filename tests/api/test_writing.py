"""Prompts to texts: the same alone and in company, ended where they should be, accounted for."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.api.writing import (
    Generation,
    Piece,
    Writer,
    collect,
    in_order,
    read_tokens,
    sample_generator,
    sample_text,
)
from charlm.decoding import DecodingConfig

LEVELS = ["char", "word", "byte", "bpe"]
PROMPTS = ["The fox", "", "T", "Once upon a time there was ", "☃ fox Ж", "The fox"]
MODES = {
    "sampling": {},
    "greedy": {"greedy": True},
    "beam": {"beam": 4, "num_return_sequences": 4},
    "groups": {"beam": 4, "num_beam_groups": 2, "diversity_penalty": 1.0},
    "without replacement": {"without_replacement": True, "num_return_sequences": 4},
    "exhaustive": {"exhaustive": True, "num_return_sequences": 4},
}


def written(lm, prompts=("",), seed=0, batch_size=64, **config):
    return list(lm.writer(DecodingConfig(**config)).write(prompts, seed, batch_size))


def log_probs_of(lm, prompt, tokens):
    """Log-probabilities (token, vocab_size) before each token, all in one pass of the model."""
    ids = [lm.tokenizer.start_id, *lm.tokenizer.encode(prompt)]
    whole = torch.tensor([[*ids, *tokens]])
    with torch.inference_mode():
        logits, _ = lm.model(whole[:, :-1], lm.model.initial_state(1))
    return logits[0, len(ids) - 1 :].double().log_softmax(-1)


def log_prob_of(lm, prompt, tokens):
    rows = log_probs_of(lm, prompt, tokens)
    return sum(float(row[token]) for row, token in zip(rows, tokens, strict=True))


def text_before(text, stops):
    """What stands before the stop string that is complete first, and whether there is one."""
    for end in range(len(text) + 1):
        complete = [stop for stop in stops if text[:end].endswith(stop)]
        if complete:
            return text[: end - max(map(len, complete))], True
    return text, False


def text_of(lm, prompt, tokens):
    """What tokens say after a prompt, by the tokenizer alone."""
    ids = lm.tokenizer.encode(prompt)
    symbols = [token for token in tokens if token != lm.tokenizer.stop_id]
    return lm.tokenizer.decode([*ids, *symbols]).removeprefix(lm.tokenizer.decode(ids))


# -- in company -------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_a_text_is_the_same_however_many_are_drawn_and_however_many_at_a_time(trained, level):
    lm = trained(level)
    alone = {
        (prompt, number): written(
            lm, [prompt], seed=5, num_return_sequences=number + 1, max_new_tokens=25
        )[number]
        for prompt in PROMPTS
        for number in (0, 2)
    }

    for number, batch_size in [(1, 64), (3, 1), (3, 4), (7, 5), (7, 64)]:
        config = {"num_return_sequences": number, "max_new_tokens": 25}
        texts = written(lm, PROMPTS, seed=5, batch_size=batch_size, **config)
        assert [g.prompt for g in texts] == [p for p in PROMPTS for _ in range(number)]
        for index, generation in enumerate(texts):
            key = (PROMPTS[index // number], index % number)
            assert generation == alone.get(key, generation)


@pytest.mark.parametrize("mode", ["greedy", "beam", "without replacement", "exhaustive"])
def test_the_texts_of_a_prompt_do_not_depend_on_other_prompts(trained, mode):
    lm = trained("char")
    length = 2 if mode == "exhaustive" else 20
    config = {**MODES[mode], "max_new_tokens": length}

    together = written(lm, PROMPTS, seed=1, batch_size=4, **config)

    alone = [g for prompt in PROMPTS for g in written(lm, [prompt], seed=1, **config)]
    assert together == alone


def test_the_numbers_of_a_prompt_and_the_seeds_give_different_texts(trained):
    lm = trained("char")

    texts = {g.text for seed in (0, 1, 2) for g in written(lm, seed=seed, num_return_sequences=20)}

    assert len(texts) == 60


def test_the_randomness_of_a_sample_is_its_seed_and_its_number():
    def numbers(seed, number):
        return tuple(torch.rand(4, generator=sample_generator(seed, number, [9, 1])).tolist())

    drawn = {(seed, number): numbers(seed, number) for seed in range(5) for number in range(5)}

    assert len(set(drawn.values())) == 25
    assert all(numbers(*key) == value for key, value in drawn.items())
    assert numbers(2**63 - 1, 10**6) != numbers(2**63 - 2, 10**6)


def test_no_prompts_give_no_texts(trained):
    assert written(trained("char"), []) == []


# -- what a text is ---------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_greedy_text_is_the_most_probable_token_of_one_pass_over_all_of_it(trained, level):
    lm = trained(level)
    barred = [lm.tokenizer.start_id, lm.tokenizer.other_id]

    (generation,) = written(lm, ["The fox"], greedy=True, max_new_tokens=30)

    log_probs = log_probs_of(lm, "The fox", generation.tokens)
    log_probs[:, barred] = -math.inf
    assert tuple(log_probs.argmax(-1).tolist()) == generation.tokens
    assert generation.text == text_of(lm, "The fox", generation.tokens)


@pytest.mark.parametrize(
    "given",
    [{}, {"repetition_penalty": 1.5}, {"no_repeat_ngram_size": 3, "ban": ("<stop>",)}],
    ids=str,
)
@pytest.mark.parametrize("prompt", ["The fox", "", "☃"])
@pytest.mark.parametrize("level", LEVELS)
def test_four_ways_of_being_greedy_give_one_text(trained, level, prompt, given):
    lm = trained(level)
    ways = [{"greedy": True}, {"temperature": 0.0}, {"top_k": 1}, {"beam": 1}]

    texts = [written(lm, [prompt], max_new_tokens=40, **given, **way)[0] for way in ways]

    assert {(g.text, g.tokens, g.end) for g in texts} == {
        (texts[0].text, texts[0].tokens, texts[0].end)
    }


@pytest.mark.parametrize("level", ["char", "word"])
def test_all_that_was_never_seen_is_read_alike(trained, level):
    lm = trained(level)

    one, other = written(lm, ["The ☃ ", "The Ж "], seed=2, max_new_tokens=20)

    assert one.tokens == other.tokens
    assert (one.prompt, other.prompt) == ("The ☃ ", "The Ж ")


@pytest.mark.parametrize("mode", ["sampling", "greedy", "beam", "without replacement"])
@pytest.mark.parametrize("level", LEVELS)
def test_a_text_says_what_its_tokens_say_and_ends_as_it_tells(trained, level, mode):
    lm = trained(level)
    config = {"max_new_tokens": 30, **MODES[mode]}
    if mode == "sampling":
        config["num_return_sequences"] = 20

    texts = written(lm, ["The fox", ""], seed=4, **config)

    assert len(texts) == 2 * config.get("num_return_sequences", 1)
    for generation in texts:
        assert generation.text == text_of(lm, generation.prompt, generation.tokens)
        stops = [token == lm.tokenizer.stop_id for token in generation.tokens]
        assert not any(stops[:-1])
        assert generation.end == ("<stop>" if stops[-1] else "length")
        assert stops[-1] or len(stops) == 30
        assert generation.choices is None


def test_fewest_tokens_are_written_before_the_end(trained):
    lm = trained("word")

    texts = written(lm, num_return_sequences=50, min_new_tokens=6, max_new_tokens=12)

    lengths = [len(g.tokens) - (g.end == "<stop>") for g in texts]
    assert min(lengths) >= 6
    assert {g.end for g in texts} == {"<stop>", "length"}


@pytest.mark.parametrize("level", LEVELS)
def test_search_counts_the_log_probability_of_what_it_finds(trained, level):
    lm = trained(level)

    for mode in ("beam", "groups", "without replacement"):
        for generation in written(lm, ["The"], max_new_tokens=12, allow_other=True, **MODES[mode]):
            expected = log_prob_of(lm, "The", generation.tokens)
            if mode == "without replacement":  # of what may be written, <start> may not
                rows = log_probs_of(lm, "The", generation.tokens)
                expected -= float((-rows[:, lm.tokenizer.start_id].exp()).log1p().sum())
            else:
                score = expected / len(generation.tokens)
                assert generation.score == pytest.approx(score, abs=1e-4)
            assert generation.log_prob == pytest.approx(expected, abs=1e-4)


def test_samples_have_no_score(trained):
    (generation,) = written(trained("char"), max_new_tokens=3)

    assert (generation.log_prob, generation.score) == (None, None)


def test_without_replacement_no_text_comes_twice_and_the_first_of_many_are_those_of_few(trained):
    lm = trained("char")

    many = written(
        lm, ["A"], seed=9, max_new_tokens=3, without_replacement=True, num_return_sequences=50
    )
    few = written(
        lm, ["A"], seed=9, max_new_tokens=3, without_replacement=True, num_return_sequences=5
    )

    assert len({g.text for g in many}) == 50
    assert few == many[:5]


# -- stop strings -----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["sampling", "greedy"])
@pytest.mark.parametrize("level", LEVELS)
def test_a_stop_string_cuts_the_text_that_would_have_been(trained, level, mode):
    lm = trained(level)
    given = {"max_new_tokens": 30, "ban": ("<stop>",), **MODES[mode]}
    for seed, (a, b) in itertools.product(range(3), [(0, 1), (2, 3), (5, 8), (7, 12)]):
        (whole,) = written(lm, ["The"], seed=seed, **given)
        stop = whole.text[a:b]

        (cut,) = written(lm, ["The"], seed=seed, stop=("no such text", stop), **given)

        assert cut.end == "stop string"
        assert cut.text == whole.text[: whole.text.index(stop)]
        assert cut.tokens == whole.tokens[: len(cut.tokens)]
        assert stop in text_of(lm, "The", cut.tokens)
        assert stop not in text_of(lm, "The", cut.tokens[:-1])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("level", LEVELS)
def test_in_every_mode_texts_end_before_their_stop_strings(babbler, level, mode):
    given = {**MODES[mode], "max_new_tokens": 2 if mode == "exhaustive" else 12}
    if mode == "sampling":
        given["num_return_sequences"] = 10
    ends = set()
    for stops in [("b", "ca", "ab a", "bc"), ("a", "cc")]:
        lm = babbler(level)
        for generation in written(lm, ["a"], seed=0, stop=stops, **given):
            whole = text_of(lm, "a", generation.tokens)
            stopped = generation.end == "stop string"
            assert (generation.text, stopped) == text_before(whole, stops)
            assert not text_before(text_of(lm, "a", generation.tokens[:-1]), stops)[1]
            ends.add(generation.end)

    assert "stop string" in ends


@pytest.mark.parametrize("mode", MODES)
def test_a_stop_string_does_not_end_a_text_that_is_too_short(babbler, mode):
    lm = babbler("char")
    given = {**MODES[mode], "max_new_tokens": 3 if mode == "exhaustive" else 12}
    least = given["max_new_tokens"] - 1

    texts = written(lm, seed=0, stop=("a", "b", "c"), min_new_tokens=least, **given)

    for generation in texts:
        assert len(generation.tokens) - (generation.end == "<stop>") >= least
        whole = text_of(lm, "", generation.tokens)
        end, _ = text_before(whole[least - 1 :], "abc")
        assert generation.text == whole[: least - 1] + end


@pytest.mark.parametrize("mode", ["sampling", "greedy", "without replacement"])
@pytest.mark.parametrize(("level", "text"), [("char", "a"), ("word", "ab"), ("byte", "\udcc3")])
def test_what_was_held_back_is_text_after_all_when_the_end_comes(babbler, level, text, mode):
    lm = babbler(level)
    config = {"bias": {text: 1000.0, "<stop>": 500.0}, "frequency_penalty": 2000.0}
    config |= {**MODES[mode], "num_return_sequences": 1}

    (generation,) = written(lm, stop=(text + "!",), **config)
    (cut_off,) = written(lm, stop=(text + "!",), max_new_tokens=1, **config)

    assert (generation.text, generation.end) == (text, "<stop>")
    assert (cut_off.text, cut_off.end) == (text, "length")


def brute_force(lm, config):
    """Every text there is, scored, best first: (tokens, text, log_prob, score)."""
    tokenizer, found = lm.tokenizer, []
    symbols = range(tokenizer.num_symbols)
    for length in range(config.max_new_tokens + 1):
        for tokens in itertools.product(symbols, repeat=length):
            before = [text_of(lm, "", tokens[:n]) for n in range(length)]
            if any(text_before(text, config.stop)[1] for text in before):
                continue  # it would have ended earlier
            text, stopped = text_before(text_of(lm, "", tokens), config.stop)
            if not stopped and length < config.max_new_tokens:
                tokens = (*tokens, tokenizer.stop_id)
            log_prob = log_prob_of(lm, "", tokens)
            score = log_prob / len(tokens) ** config.length_penalty
            found.append((tokens, text, log_prob, score))
    return sorted(found, key=lambda text: -text[3])


@pytest.mark.parametrize("stop", [(), ("ab",), ("c", "bb")])
@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
def test_exhaustive_search_finds_the_best_of_all_texts(babbler, stop, length_penalty):
    lm = babbler("char", seed=3)
    length = {"max_new_tokens": 3, "length_penalty": length_penalty, "stop": stop}
    config = DecodingConfig(exhaustive=True, num_return_sequences=30, **length)

    found = written(lm, exhaustive=True, num_return_sequences=30, **length)
    beam = written(lm, beam=400, num_return_sequences=30, **length)

    expected = brute_force(lm, config)[:30]
    assert [g.tokens for g in found] == [tokens for tokens, _, _, _ in expected]
    assert [g.text for g in found] == [text for _, text, _, _ in expected]
    for generation, (_, _, log_prob, score) in zip(found, expected, strict=True):
        assert generation.log_prob == pytest.approx(log_prob, abs=1e-5)
        assert generation.score == pytest.approx(score, abs=1e-5)
    assert [(g.tokens, g.text, g.end) for g in beam] == [(g.tokens, g.text, g.end) for g in found]


# -- choices ----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["sampling", "greedy", "beam"])
@pytest.mark.parametrize("level", LEVELS)
def test_choices_sum_to_the_log_probability_of_the_text(trained, level, mode):
    lm = trained(level)
    config = DecodingConfig(max_new_tokens=20, ban=("e",) if level != "word" else ("the",))
    writer = lm.writer(config)

    for generation in written(lm, ["The fox", ""], seed=1, max_new_tokens=20, **MODES[mode]):
        choices = writer.choices(generation, 3)
        expected = log_prob_of(lm, generation.prompt, generation.tokens)
        assert sum(choice.log_prob for choice in choices) == pytest.approx(expected, abs=1e-4)
        spelled = [lm.tokenizer.token(token) for token in generation.tokens]
        assert [choice.token for choice in choices] == spelled


def test_alternatives_are_the_most_probable_tokens_best_first(trained):
    lm = trained("char")
    (generation,) = written(lm, ["The fox"], seed=1, max_new_tokens=15)

    choices = lm.writer(DecodingConfig()).choices(generation, 4)

    rows = log_probs_of(lm, "The fox", generation.tokens)
    for choice, row in zip(choices, rows, strict=True):
        best = row.topk(4)
        expected = [lm.tokenizer.token(token) for token in best.indices.tolist()]
        assert [token for token, _ in choice.alternatives] == expected
        values = [value for _, value in choice.alternatives]
        np.testing.assert_allclose(values, best.values, atol=1e-5)


def test_there_are_no_more_alternatives_than_tokens_and_together_they_are_certain(trained):
    lm = trained("char")
    (generation,) = written(lm, max_new_tokens=2)

    for choice in lm.writer(DecodingConfig()).choices(generation, 10_000):
        assert len(choice.alternatives) == lm.tokenizer.vocab_size
        assert sum(math.exp(value) for _, value in choice.alternatives) == pytest.approx(1)


def test_greedy_choices_are_the_first_of_their_alternatives(trained):
    lm = trained("char")
    (generation,) = written(lm, ["The"], greedy=True, max_new_tokens=10)

    choices = lm.writer(DecodingConfig()).choices(generation, 1)

    assert all((c.token, c.log_prob) == c.alternatives[0] for c in choices)


# -- beams in the making ----------------------------------------------------------------------


def test_the_steps_of_a_beam_lead_to_what_the_search_finds(trained):
    lm = trained("char")
    config = DecodingConfig(beam=3, num_return_sequences=3, max_new_tokens=8)
    writer = lm.writer(config)

    *_, last = writer.beam_steps("The ")

    texts = [writer.text("The ", node.path()) for node in last.finished]
    assert texts == [g.text for g in writer.search("The ", 0)]


def test_tokens_are_read_as_what_follows_their_prompt(trained):
    lm = trained("word")
    writer = lm.writer(DecodingConfig())
    comma, fox = lm.tokenizer.encode(", fox")

    assert writer.text("The", [fox, comma, fox]) == " fox, fox"
    assert writer.text('The "', [fox]) == "fox"
    assert writer.is_stop(lm.tokenizer.stop_id)
    assert not writer.is_stop(fox)


# -- pieces -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_pieces_add_up_to_the_texts(trained, mode, batch_size):
    lm = trained("byte")
    given = {**MODES[mode], "max_new_tokens": 2 if mode == "exhaustive" else 25}
    if mode == "sampling":
        given |= {"num_return_sequences": 3, "stop": ("e ", "th")}
    writer = lm.writer(DecodingConfig(**given))

    pieces = list(writer.pieces(PROMPTS, 6, batch_size))

    texts = list(writer.write(PROMPTS, 6, batch_size))
    for index, generation in enumerate(texts):
        own = [piece for piece in pieces if piece.index == index]
        assert "".join(piece.text for piece in own) == generation.text
        assert [piece.end for piece in own] == [None] * (len(own) - 1) + [generation.end]
        assert {piece.prompt for piece in own} == {generation.prompt}
    assert {piece.index for piece in pieces} == set(range(len(texts)))


def test_pieces_come_as_soon_as_their_text_is_certain(trained):
    lm = trained("char")
    writer = lm.writer(DecodingConfig(max_new_tokens=10, stop=("zzz",)))
    (whole,) = writer.write(["The"], 0, 1)

    so_far = ""
    for piece in itertools.islice(writer.pieces(["The"], 0, 1), len(whole.text)):
        so_far += piece.text
        assert piece.token is not None
        assert whole.text.startswith(so_far)

    assert len(so_far) >= len(whole.text.rstrip("z")) - 2


@st.composite
def pieces_as_drawn(draw):
    """Texts of some pieces each, begun in order and otherwise mixed."""
    sizes = draw(st.lists(st.integers(1, 4), max_size=6))
    left, begun, pieces = list(sizes), 0, []
    while any(left):
        open_texts = [i for i in range(begun) if left[i]] + ([begun] if begun < len(sizes) else [])
        index = draw(st.sampled_from(open_texts))
        begun = max(begun, index + 1)
        left[index] -= 1
        end = None if left[index] else "length"
        number = sizes[index] - left[index]
        token = None if draw(st.booleans()) else 10 * index + number
        pieces.append(Piece(index, f"p{index}", f"{index}.{number} ", token, end))
    return pieces


@given(pieces=pieces_as_drawn())
@settings(max_examples=150)
def test_pieces_in_order_are_those_of_each_text_in_a_row(pieces):
    ordered = list(in_order(iter(pieces)))

    assert ordered == sorted(pieces, key=lambda piece: piece.index)  # which keeps ties in place


@given(pieces=pieces_as_drawn())
@settings(max_examples=100)
def test_a_piece_in_order_waits_only_for_the_texts_before_it(pieces):
    taken = []

    def source():
        for piece in pieces:
            taken.append(piece)
            yield piece

    for piece in in_order(source()):
        if piece is taken[-1]:
            continue
        earlier = [p for p in taken if p.index < piece.index]
        assert taken[-1].end is not None  # a text before it has just ended
        assert taken[-1] in earlier


@given(pieces=pieces_as_drawn())
@settings(max_examples=100)
def test_collected_pieces_are_the_texts_in_order(pieces):
    collected = list(collect(pieces))

    assert len(collected) == len({piece.index for piece in pieces})
    for index, generation in enumerate(collected):
        own = [piece for piece in pieces if piece.index == index]
        text = "".join(piece.text for piece in own)
        tokens = tuple(piece.token for piece in own if piece.token is not None)
        assert generation == Generation(f"p{index}", text, tokens, "length")


def test_reading_tokens_lets_go_of_what_was_held(trained):
    lm = trained("char")
    _, stream = lm.writer(DecodingConfig(stop=("oxx",)))._read("The ")

    assert read_tokens(stream, lm.tokenizer.encode("fox")) == "fox"


# -- a model in training ----------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_a_model_in_training_writes_as_it_is_at_the_moment(trained, level):
    lm = trained(level)
    config = DecodingConfig(max_new_tokens=20)

    text = sample_text(lm.model, lm.tokenizer, config, seed=3)

    pieces = Writer(lm.model, lm.tokenizer, config).pieces([""], 3, 1)
    assert text == "".join(piece.text for piece in pieces) != ""
    assert text == sample_text(lm.model, lm.tokenizer, config, seed=3)


def test_texts_that_are_complete_come_before_an_interruption():
    def pieces():
        yield Piece(0, "", "a", 1)
        yield Piece(1, "", "b", 1, "<stop>")
        yield Piece(2, "", "c", 1)
        raise KeyboardInterrupt

    came = []
    with pytest.raises(KeyboardInterrupt):
        for piece in in_order(pieces()):
            came.append(piece.text)

    assert came == ["a", "b"]


def test_like_prompts_do_not_share_their_randomness():
    def numbers(prompt):
        return torch.rand(4, generator=sample_generator(1, 0, prompt)).tolist()

    prompts = [[9], [9, 1], [9, 2], [9, 1, 1], [9, 1, 0]]

    assert len({tuple(numbers(prompt)) for prompt in prompts}) == len(prompts)
    assert numbers([9, 1]) == numbers([9, 1])
