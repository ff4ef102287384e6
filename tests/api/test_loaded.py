"""A trained model, loaded: one line writes, another measures, and mistakes are told in one."""

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch

import charlm
from charlm.api import decoding_config, draw_seed
from charlm.decoding import DecodingConfig
from charlm.errors import CheckpointError, ConfigError, TextError
from charlm.evaluation import CacheConfig, CachedPredictor, NetworkPredictor

LEVELS = ["char", "word", "byte", "bpe"]


@pytest.fixture
def lm(trained):
    return trained("char")


# -- writing ----------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_generate_writes_on_from_the_prompt_and_repeats_under_a_seed(trained, level):
    lm = trained(level)

    def text(seed):
        return lm.generate("The ", seed=seed, max_new_tokens=30, min_new_tokens=9, temperature=0.9)

    assert text(1) == text(1) != text(2)
    assert text(1).startswith("The ")
    assert len(lm.tokenizer.encode(text(1).removeprefix("The "))) >= 3


def test_without_a_seed_every_text_is_another(lm):
    assert lm.generate(max_new_tokens=60) != lm.generate(max_new_tokens=60)
    assert draw_seed() != draw_seed()
    assert 0 <= draw_seed() < 2**32


def test_generate_takes_every_setting_by_its_name(lm):
    (expected,) = lm.generate_many(["The"], DecodingConfig(beam=3, ban=("x",), stop=("\n",)))

    assert lm.generate("The", beam=3, ban=["x"], stop="\n") == "The" + expected.text


def test_texts_come_one_by_one_and_in_the_order_of_their_prompts(lm):
    config = DecodingConfig(num_return_sequences=2, max_new_tokens=5)

    texts = lm.generate_many(["A", "B"], config, seed=0, batch_size=1)

    assert iter(texts) is texts
    first = next(texts)
    assert [first.prompt, *(g.prompt for g in texts)] == ["A", "A", "B", "B"]


def test_batches_are_as_large_as_is_asked_for_and_change_nothing(lm, monkeypatch):
    sizes = []
    steps = lm._steps
    step = type(steps).step

    def counted(self, tokens, state):
        sizes.append(len(tokens))
        return step(self, tokens, state)

    monkeypatch.setattr(type(steps), "step", counted)
    config = DecodingConfig(max_new_tokens=4, min_new_tokens=4, num_return_sequences=7)

    by_size = {}
    for batch_size in (1, 3, 64):
        sizes.clear()
        by_size[batch_size] = list(lm.generate_many(["A"], config, seed=0, batch_size=batch_size))
        assert max(sizes) == min(batch_size, 7)
    assert by_size[1] == by_size[3] == by_size[64]


def test_alternatives_come_with_each_text_where_they_are_asked_for(lm):
    config = DecodingConfig(max_new_tokens=5, num_return_sequences=2)

    plain = list(lm.generate_many(["The"], config, seed=0))
    told = list(lm.generate_many(["The"], config, seed=0, alternatives=3))

    assert [g.choices for g in plain] == [None, None]
    assert [g.tokens for g in told] == [g.tokens for g in plain]
    for generation in told:
        assert generation.choices == lm.writer(config).choices(generation, 3)
        assert [len(choice.alternatives) for choice in generation.choices] == [3] * 5


@pytest.mark.parametrize(
    "mode",
    [{}, {"greedy": True}, {"beam": 3}, {"without_replacement": True}, {"stop": ("e", "th")}],
    ids=str,
)
@pytest.mark.parametrize("level", LEVELS)
def test_a_stream_adds_up_to_the_text(trained, level, mode):
    lm = trained(level)
    config = DecodingConfig(max_new_tokens=25, **mode)

    pieces = list(lm.stream("The", config, seed=3))

    (generation,) = lm.generate_many(["The"], config, seed=3)
    assert "".join(pieces) == generation.text
    assert all(pieces)


def test_a_stream_comes_token_by_token(lm):
    pieces = list(lm.stream("The", DecodingConfig(max_new_tokens=25, min_new_tokens=25), seed=3))

    assert [len(piece) for piece in pieces] == [1] * 25


def test_a_beam_gives_its_texts_best_first(lm):
    config = DecodingConfig(beam=4, num_return_sequences=3, max_new_tokens=6)

    found = list(lm.generate_many(["The"], config))

    assert len(found) == 3
    assert [g.score for g in found] == sorted((g.score for g in found), reverse=True)


FRESH = """
import json, sys
import charlm

texts = []
for folder in sys.argv[1:]:
    lm = charlm.load(folder, "cpu")
    texts.append(lm.generate("The \u2603", seed=7, max_new_tokens=60))
    texts.append(lm.generate("The", beam=3, max_new_tokens=20))
print(json.dumps(texts))
"""


def test_a_fresh_process_writes_the_same_texts(trained, trained_folder):
    folders = [str(trained_folder(level)) for level in LEVELS]
    environment = {**os.environ, "PYTHONPATH": str(Path(charlm.__file__).parents[1])}

    fresh = subprocess.run(
        [sys.executable, "-c", FRESH, *folders], env=environment, capture_output=True, check=True
    )

    here = []
    for lm in map(trained, LEVELS):
        here.append(lm.generate("The ☃", seed=7, max_new_tokens=60))
        here.append(lm.generate("The", beam=3, max_new_tokens=20))
    assert json.loads(fresh.stdout) == here


# -- measuring --------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_is_measured(trained, level):
    assert trained(level).evaluate("The fox sat down.").perplexity > 1


def test_bits_per_char_of_a_text_is_its_nats_over_its_characters(lm):
    result = lm.evaluate("The fox sat down.")

    assert result.num_tokens == 18  # and <stop>
    assert result.num_chars == 17
    assert result.bits_per_char == pytest.approx(result.total_nats / math.log(2) / 17)


def test_a_file_and_its_text_measure_the_same(lm, tmp_path, tale):
    path = tmp_path / "part.txt"
    path.write_text(tale[:500])

    assert lm.evaluate_files([str(path)]) == lm.evaluate(tale[:500])


def test_a_part_of_the_training_corpus_measures_like_its_text(lm, tale):
    part = lm.evaluate_split("test")

    assert part == lm.evaluate(tale[-part.num_chars :])
    assert 0 < part.num_chars < len(tale) / 10


def test_a_part_that_is_not_there_is_named(train):
    lm = charlm.load(train(split=(90.0, 10.0, 0.0)))

    with pytest.raises(TextError, match="has no test part; choose another --split"):
        lm.evaluate_split("test")


def test_what_a_byte_model_writes_it_can_read(trained):
    lm = trained("byte")

    assert lm.evaluate("fox \udcff").num_bytes == 5


@pytest.mark.parametrize(
    ("level", "text", "said"),
    [
        ("char", "", "the text is empty; there is nothing to evaluate"),
        ("word", " \n", "there is no token to predict in the text"),
        ("char", "fox \udcff", "the text is not UTF-8 at byte 4"),
    ],
)
def test_a_text_without_tokens_is_one_clear_line(trained, level, text, said):
    with pytest.raises(TextError, match=said) as error:
        trained(level).evaluate(text)

    assert "\n" not in str(error.value)


def test_files_are_measured_each_by_itself_and_summed_up(lm, tmp_path, tale):
    texts = tale[:500], tale[500:700]
    paths = [tmp_path / "a.txt", tmp_path / "b.txt"]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)

    found = lm.evaluate_files([str(path) for path in paths])

    first, second = map(lm.evaluate, texts)
    assert found == first + second
    with pytest.raises(TextError, match="nothing to evaluate; name a text"):
        lm.evaluate_files([])


# -- with a cache -----------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_with_a_cache_a_text_is_measured_as_reading_with_one_does(trained, level):
    lm, text = trained(level), "The fox sat. The fox sat. The fox sat."
    config = CacheConfig(size=20, flatness=0.5, weight=0.3)
    cached = CachedPredictor(NetworkPredictor(lm.model), config)

    remembering = lm.with_cache(size=20, flatness=0.5, weight=0.3)

    expected = lm.evaluator().with_predictor(cached)
    assert remembering.evaluate(text) == on_file(expected, text)
    assert remembering.evaluate(text).total_nats < lm.evaluate(text).total_nats
    assert remembering.log_probs([text]) == pytest.approx(expected.log_probs([text]))
    assert remembering.evaluate_split("test") == expected.evaluate_split("test").evaluation


def on_file(evaluator, text):
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(text)
        file.flush()
        return evaluator.evaluate_file(file.name).evaluation


@pytest.mark.parametrize("mode", [{}, {"greedy": True}, {"beam": 3}], ids=str)
@pytest.mark.parametrize("level", LEVELS)
def test_with_a_cache_other_texts_are_written_the_same_in_any_batch(trained, level, mode):
    lm = trained(level)
    remembering = lm.with_cache(size=50, weight=0.6)
    config = DecodingConfig(max_new_tokens=15, min_new_tokens=15, **mode)
    prompts = ["The fox", "", "the the", "It was"]

    def texts(lm, **batch):
        return [g.text for g in lm.generate_many(prompts, config, seed=2, **batch)]

    assert texts(remembering) == texts(remembering, batch_size=1) != texts(lm)
    assert texts(lm) == texts(lm.with_cache(weight=1e-12))


def test_with_a_cache_the_likeliest_text_is_that_of_the_mixture(trained):
    lm = trained("char").with_cache(size=50, flatness=0.1, weight=0.7)
    predictor, tokenizer = lm.evaluator().predictor, lm.tokenizer

    text = lm.generate("The fox", greedy=True, max_new_tokens=12, min_new_tokens=12)

    tokens = [tokenizer.start_id, *tokenizer.encode(text)]
    barred = [tokenizer.start_id, tokenizer.stop_id, tokenizer.other_id]
    rows = torch.tensor([tokens])
    predictions, _ = predictor.predict(rows[:, :-1], rows[:, 1:], predictor.initial_state(1))
    log_probs = predictions.distribution()[0]
    log_probs[:, barred] = -math.inf
    assert log_probs.argmax(-1)[7:].tolist() == tokens[8:]


def test_a_cache_is_of_the_copy_and_not_of_the_model(lm):
    text = lm.generate("The", seed=1, max_new_tokens=20)
    remembering = lm.with_cache(size=30)

    assert remembering.cache == CacheConfig(size=30)
    assert remembering.model is lm.model
    assert lm.cache is None
    assert lm.generate("The", seed=1, max_new_tokens=20) == text


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"sise": 3}, "unknown settings of the cache: sise."),
        ({"size": 0}, "size must be 1 to 100,000 tokens, not 0"),
        ({"size": 100_001}, "size must be 1 to 100,000 tokens, not 100001"),
        ({"size": 2.5}, "size must be a whole number"),
        ({"weight": 1.0}, "weight must be above 0 and below 1, not 1.0"),
        ({"weight": "much"}, "weight must be a number"),
        ({"flatness": -1.0}, "flatness must be 0 or more, not -1.0"),
    ],
    ids=str,
)
def test_a_cache_that_cannot_be_is_one_clear_line(lm, given, said):
    with pytest.raises(ConfigError, match=said) as error:
        lm.with_cache(**given)

    assert "\n" not in str(error.value)


# -- loading and mistakes ---------------------------------------------------------------------


def test_the_newest_checkpoint_is_loaded_where_none_is_named(trained_folder, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    shutil.copytree(trained_folder("word"), tmp_path / "checkpoints" / "tale")

    assert charlm.load().tokenizer.level == "word"
    assert charlm.load(str(trained_folder("byte"))).tokenizer.level == "byte"
    assert charlm.load("checkpoints/tale", "cpu").model.device.type == "cpu"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"heat": 3}, "unknown settings of generate: heat."),
        ({"heat": 3, "cold": 1}, "unknown settings of generate: cold, heat."),
        ({"num_return_sequences": 2}, "generate_many"),
        ({"temperature": "hot"}, "temperature must be a number, not 'hot'"),
        ({"stop": 3}, "stop must be a list, each a text, not 3"),
        ({"ban": [3]}, "ban must be a list, each a text"),
        ({"bias": "the"}, "bias must be a table from a text to a number"),
        ({"bias": [("the", 1.0)]}, "bias must be a table from a text to a number"),
        ({"stop": ""}, "need a text, not an empty one"),
        ({"ban": "☃"}, "is no token of this char model"),
        ({"bias": {"fox": 1.0}}, "'fox' is 3 tokens of this char model"),
        ({"greedy": True, "temperature": 0.5}, "--temperature has no effect in greedy decoding"),
        ({"max_new_tokens": 0}, "max_new_tokens must be a whole number of at least 1, not 0"),
        ({"exhaustive": True}, "lower --max-new-tokens, or use --beam"),
        ({"seed": -1}, "seed"),
    ],
    ids=str,
)
def test_mistakes_are_one_clear_line(lm, settings, said):
    with pytest.raises(ConfigError) as error:
        lm.generate(**settings)

    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_mistakes_are_found_before_anything_is_written(lm):
    with pytest.raises(ConfigError, match="no token"):
        lm.writer(DecodingConfig(ban=("☃",)))
    with pytest.raises(ConfigError, match="no token"):
        lm.pieces([], DecodingConfig(ban=("☃",)), seed=0)


def test_a_folder_without_a_checkpoint_is_told(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint"):
        charlm.load(tmp_path / "none")


@pytest.mark.parametrize(
    ("given", "config"),
    [
        ({}, DecodingConfig()),
        ({"stop": "a"}, DecodingConfig(stop=("a",))),
        ({"ban": "ab", "stop": ["a", "b"]}, DecodingConfig(ban=("ab",), stop=("a", "b"))),
        ({"bias": {"a": 1}, "temperature": 1}, DecodingConfig(bias={"a": 1.0})),
        ({"stop": ("a",), "beam": 2}, DecodingConfig(stop=("a",), beam=2)),
    ],
)
def test_settings_become_a_configuration(given, config):
    assert decoding_config(given) == config


def test_the_package_has_no_other_names():
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        charlm.lode  # noqa: B018
