"""Bans and biases as people write them: the tokens they mean, and what is then written."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.api.rules import token_rules
from charlm.decoding import DecodingConfig
from charlm.errors import ConfigError
from charlm.text import TextConfig, build_tokenizer

TALE = "The fox ate the moon, and the moon ate the fox. The fox!\n" * 2
LEVELS = ["char", "word", "byte", "bpe"]
TOKENIZERS = {
    level: build_tokenizer(
        TextConfig(level=level, vocab_size=280 if level == "bpe" else None), [TALE]
    )
    for level in LEVELS
}
MODES = [
    {"greedy": True},
    {"num_return_sequences": 3},
    {"temperature": 3.0},
    {"beam": 3, "num_return_sequences": 3},
    {"beam": 4, "num_beam_groups": 2, "diversity_penalty": 2.0},
    {"without_replacement": True, "num_return_sequences": 4},
]


def rules(level, **config):
    return token_rules(DecodingConfig(**config), TOKENIZERS[level])


def holds(symbols, string):
    """Whether some symbols in a row are those of a string."""
    starts = range(len(symbols) - len(string) + 1)
    return any(symbols[i : i + len(string)] == string for i in starts)


@pytest.mark.parametrize("level", LEVELS)
def test_start_and_other_are_barred_and_nothing_else(level):
    tokenizer = TOKENIZERS[level]

    plain, with_other = rules(level), rules(level, allow_other=True)

    assert plain.barred == (tokenizer.start_id, tokenizer.other_id)
    assert with_other.barred == (tokenizer.start_id,)
    assert (plain.vocab_size, plain.stop_id) == (tokenizer.vocab_size, tokenizer.stop_id)
    assert (plain.bans, dict(plain.bias), plain.watch) == (None, {}, None)


@pytest.mark.parametrize("level", LEVELS)
def test_marks_are_banned_by_their_names(level):
    tokenizer = TOKENIZERS[level]

    banned = rules(level, ban=("<stop>", "<other>"), allow_other=True)

    assert banned.barred == (tokenizer.start_id, tokenizer.stop_id, tokenizer.other_id)
    assert banned.bans is None


@pytest.mark.parametrize("mark", ["<start>", "<other>"])
def test_a_ban_on_what_is_never_written_is_refused(mark):
    with pytest.raises(ConfigError, match=f"a ban on {mark} has no effect"):
        rules("char", ban=(mark,))


@pytest.mark.parametrize(("level", "text"), [("char", "x"), ("word", "moon"), ("byte", "x")])
def test_one_symbol_is_barred_by_itself(level, text):
    tokenizer = TOKENIZERS[level]
    (token,) = tokenizer.encode(text)

    banned = rules(level, ban=(text,))

    assert set(banned.barred) == {token, tokenizer.start_id, tokenizer.other_id}
    assert banned.bans is None


def test_byte_pairs_are_barred_whatever_else_they_write():
    tokenizer = TOKENIZERS["bpe"]

    banned = rules("bpe", ban=("he",))

    holding = {t for t in range(tokenizer.num_symbols) if "he" in tokenizer.token(t)}
    assert len(holding) > 1
    assert set(banned.barred) == holding | {tokenizer.start_id, tokenizer.other_id}


@pytest.mark.parametrize(
    ("level", "text"), [("char", "☃"), ("char", "mo☃n"), ("word", "owl"), ("word", "the owl")]
)
@pytest.mark.parametrize("setting", ["ban", "bias"])
def test_what_the_model_never_writes_is_refused_by_name(level, text, setting):
    given = {"ban": (text,)} if setting == "ban" else {"bias": {text: 1.0}}

    with pytest.raises(ConfigError, match=f"'{text}' is no token of this {level} model") as error:
        rules(level, **given)

    assert "\n" not in str(error.value)
    assert "charlm vocab show" in str(error.value)


@pytest.mark.parametrize("setting", [{"ban": (" \n",)}, {"bias": {" \n": 1.0}}])
def test_white_space_is_no_token_of_a_word_model(setting):
    with pytest.raises(ConfigError, match=r"^' \\n' is no token of this word model") as error:
        rules("word", **setting)

    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("level", "text"), [("char", "fo"), ("word", "the fox"), ("byte", "é"), ("bpe", "fox☃")]
)
def test_a_bias_is_for_one_token(level, text):
    number = len(TOKENIZERS[level].encode(text))

    with pytest.raises(ConfigError) as error:
        rules(level, bias={text: 1.0})

    assert number > 1
    said = f"'{text}' is {number} tokens of this {level} model; a bias takes one."
    assert str(error.value) == said


@pytest.mark.parametrize("level", LEVELS)
def test_a_bias_goes_to_the_token_of_its_text_and_marks_have_names(level):
    tokenizer = TOKENIZERS[level]
    text = "." if level != "bpe" else " the"
    (token,) = tokenizer.encode(text)

    favoured = rules(level, bias={text: 2.5, "<stop>": -1, "<other>": 3.0}, allow_other=True)

    assert favoured.bias == {token: 2.5, tokenizer.stop_id: -1, tokenizer.other_id: 3.0}


@pytest.mark.parametrize("level", LEVELS)
def test_a_bias_on_what_is_never_written_has_no_effect(level):
    with pytest.raises(ConfigError, match="a bias on <start> has no effect") as error:
        rules(level, bias={"<start>": 1.0}, allow_other=True)
    assert "allow-other" not in str(error.value)
    with pytest.raises(ConfigError, match=r"a bias on <other> has no effect.* add --allow-other"):
        rules(level, bias={"<other>": 1.0})


def test_words_are_banned_as_the_model_folds_them():
    config = TextConfig(level="word", lowercase=True)
    tokenizer = build_tokenizer(config, [TALE])

    banned = token_rules(DecodingConfig(ban=("MOON",)), tokenizer)

    assert tokenizer.encode("moon")[0] in banned.barred


# -- what is then written ---------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("level", LEVELS)
def test_what_a_model_would_write_is_not_written_when_it_is_banned(trained, level, mode):
    lm = trained(level)
    length = {"min_new_tokens": 8, "max_new_tokens": 8 if level == "word" else 20}
    first = next(lm.generate_many(["The "], DecodingConfig(**length, **mode), seed=3))
    ban = lm.tokenizer.decode(first.tokens[2:4])

    config = DecodingConfig(ban=(ban,), **length, **mode)

    spelled = lm.tokenizer.spell(ban)
    assert holds(lm.tokenizer.spell(first.text), spelled)
    for generation in lm.generate_many(["The "], config, seed=3):
        assert not holds(lm.tokenizer.spell(generation.text), spelled)


@pytest.mark.parametrize("allow_other", [False, True])
@pytest.mark.parametrize("level", LEVELS)
@given(data=st.data())
@settings(max_examples=25)
def test_a_banned_string_never_occurs_however_its_tokens_are_cut(babbler, level, allow_other, data):
    lm = babbler(level)
    words = st.lists(st.sampled_from(["ab", "abc", "a", "b"]), min_size=1, max_size=3)
    strings = words.map(" ".join) if level == "word" else st.text("abc", min_size=1, max_size=4)
    ban = tuple(data.draw(st.lists(strings, min_size=1, max_size=3)))
    prompt = data.draw(st.sampled_from(["", "a", "ab", "abc ab"]))
    mode = data.draw(st.sampled_from(MODES))
    bias = {"<other>": 8.0} if allow_other else {}
    config = DecodingConfig(ban=ban, allow_other=allow_other, bias=bias, max_new_tokens=15, **mode)

    generations = list(lm.generate_many([prompt], config, seed=1))

    begun = lm.tokenizer.spell(prompt)
    for generation in generations:
        if level == "word":
            written = tuple(t for t in generation.tokens if t != lm.tokenizer.stop_id)
        else:
            written = lm.tokenizer.spell(generation.text)
        for string in map(lm.tokenizer.spell, ban):
            end_of_prompt = begun[max(0, len(begun) - len(string) + 1) :]
            assert not holds(end_of_prompt + written, string)


@pytest.mark.parametrize("level", ["byte", "bpe"])
def test_a_mark_that_writes_nothing_does_not_hide_a_banned_string(babbler, level):
    lm = babbler(level)
    in_this_order = {"a": 3000.0, "<other>": 2000.0, "b": 1000.0}
    config = {"bias": in_this_order, "frequency_penalty": 6000.0, "allow_other": True}

    (free,) = lm.generate_many([""], DecodingConfig(greedy=True, max_new_tokens=3, **config))
    config |= {"ban": ("ab",), "greedy": True, "max_new_tokens": 3}
    (bound,) = lm.generate_many([""], DecodingConfig(**config))

    assert free.text == "ab"
    assert "ab" not in bound.text


@pytest.mark.parametrize("level", ["char", "bpe"])
def test_exhaustive_search_leaves_out_banned_strings(babbler, level):
    lm, count = babbler(level), {"char": 60, "bpe": 300}[level]
    length = {"max_new_tokens": 2, "exhaustive": True, "num_return_sequences": count}

    free = [g.text for g in lm.generate_many([""], DecodingConfig(**length))]
    bound = [g.text for g in lm.generate_many([""], DecodingConfig(ban=("ab", "c"), **length))]

    assert any("ab" in text for text in free) and any("c" in text for text in free)
    assert bound[:10] == [text for text in free if "ab" not in text and "c" not in text][:10]
    assert not any("ab" in text or "c" in text for text in bound)


def test_a_babbler_writes_its_strings_in_many_ways(babbler):
    lm = babbler("bpe")
    config = DecodingConfig(num_return_sequences=1000, max_new_tokens=20)

    cuts = set()
    for generation in lm.generate_many([""], config, seed=1):
        tokens = [lm.tokenizer.token(token) for token in generation.tokens]
        for i in range(len(tokens)):
            for j in range(i + 1, len(tokens) + 1):
                if "".join(tokens[i:j]) == "abc":
                    cuts.add(tuple(tokens[i:j]))

    assert len(cuts) > 1


@pytest.mark.parametrize("level", ["char", "byte", "bpe"])
def test_a_ban_reaches_into_the_prompt(level, trained):
    lm = trained(level)
    config = DecodingConfig(max_new_tokens=3, ban=("..",), bias={".": 50.0}, greedy=True)

    (generation,) = lm.generate_many(["The fox."], config)

    assert not generation.text.startswith(".")
    assert "." in generation.text
    assert ".." not in generation.text


@pytest.mark.parametrize(
    ("level", "text"), [("char", "x"), ("word", "fox"), ("byte", "x"), ("bpe", " the")]
)
def test_a_large_bias_has_nothing_else_written_and_its_opposite_never(trained, level, text):
    lm = trained(level)

    def tokens(bias):
        config = DecodingConfig(max_new_tokens=40, bias={text: bias}, num_return_sequences=5)
        return [g.tokens for g in lm.generate_many([""], config, seed=0)]

    (token,) = lm.tokenizer.encode(text)
    assert tokens(1000.0) == [(token,) * 40] * 5
    assert not any(token in written for written in tokens(-1000.0))


@pytest.mark.parametrize("level", LEVELS)
def test_stop_is_banned_and_favoured_like_any_token(trained, level):
    lm = trained(level)

    def ends(**given):
        config = DecodingConfig(max_new_tokens=30, num_return_sequences=8, **given)
        return {(g.end, g.text == "") for g in lm.generate_many([""], config, seed=0)}

    assert ends(bias={"<stop>": 1000.0}) == {("<stop>", True)}
    assert ends(ban=("<stop>",)) == {("length", False)}


def test_a_bias_without_effect_is_refused():
    with pytest.raises(ConfigError, match=r"the bias on '<stop>' has no effect: it is banned"):
        rules("char", ban=("<stop>",), bias={"<stop>": 1.0})


def test_other_is_written_only_where_it_is_allowed(trained):
    lm = trained("word")

    def texts(**given):
        config = DecodingConfig(max_new_tokens=10, num_return_sequences=20, **given)
        return [generation.text for generation in lm.generate_many([""], config, seed=0)]

    assert not any("<other>" in text for text in texts())
    assert any("<other>" in text for text in texts(allow_other=True))


@pytest.mark.parametrize("mode", MODES[:4], ids=str)
def test_a_ban_of_all_there_is_says_so(babbler, mode):
    lm = babbler("word")
    every_word = tuple(lm.tokenizer.token(token) for token in range(lm.tokenizer.num_symbols))
    config = DecodingConfig(ban=(*every_word, "<stop>"), max_new_tokens=3, **mode)

    with pytest.raises(ConfigError, match=r"left.*loosen --ban") as error:
        list(lm.generate_many([""], config, seed=0))

    assert "\n" not in str(error.value)
