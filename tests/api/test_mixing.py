"""N-grams and mixtures over a network's vocabulary."""

import gzip
import math
import shutil

import numpy as np
import pytest
import torch

import charlm
from charlm.api import (
    Evaluator,
    arpa_words,
    check_same_vocabulary,
    fit_mixture,
    is_arpa,
    mix,
    mixing,
    ngram_order,
    ngram_predictor,
    train_ngram,
)
from charlm.api.mixing import read_ngram
from charlm.errors import CheckpointError, ConfigError, TextError
from charlm.evaluation import NgramPredictor, Predictions
from charlm.ngram import build_kneser_ney, write_arpa
from charlm.training import find_part

LEVELS = ["char", "word", "byte", "bpe"]


@pytest.fixture
def checkpoint(trained):
    return lambda level="word": trained(level).checkpoint


@pytest.fixture
def noisy(trained_folder, tmp_path):
    """A word model, the same but for its weights, which are noise."""
    shutil.copytree(trained_folder("word"), tmp_path / "noisy")
    checkpoint = charlm.load(tmp_path / "noisy", "cpu").checkpoint
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in checkpoint.model.parameters():
            parameter.normal_(0, 0.5)
    return checkpoint


def tokens_of(checkpoint, part="test"):
    return find_part(checkpoint, part).tokens


def nats(evaluator, predictor, part="valid"):
    kept = []
    evaluator.with_predictor(predictor).evaluate_split(part, kept)
    return np.concatenate([scores.nats for scores in kept])


# -- n-grams ----------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("level", LEVELS)
def test_an_ngram_model_is_kneser_neys_of_the_training_tokens(checkpoint, level, order):
    given = checkpoint(level)

    model = train_ngram(given, order)

    expected = build_kneser_ney(
        tokens_of(given, "train"),
        order=order,
        vocab_size=given.tokenizer.vocab_size,
        start_id=given.tokenizer.start_id,
    )
    tokens = tokens_of(given)
    assert (model.order, model.vocab_size) == (order, given.tokenizer.vocab_size)
    assert model.log_probs(tokens).tolist() == expected.log_probs(tokens).tolist()


def test_an_ngram_model_of_a_text_that_is_gone_cannot_be_made(train, corpus, monkeypatch, tmp_path):
    given = charlm.load(train()).checkpoint
    corpus.unlink()
    monkeypatch.setenv("CHARLM_CACHE", str(tmp_path / "empty"))

    with pytest.raises(TextError, match=r"trained on is needed: .*tale\.txt does not exist"):
        train_ngram(given, 2)


@pytest.mark.parametrize("order", [0, 31])
def test_an_ngram_model_has_an_order_from_1_to_30(checkpoint, order):
    with pytest.raises(ConfigError, match=f"must be between 1 and 30, not {order}"):
        ngram_predictor(checkpoint(), f"ngram:{order}")


@pytest.mark.parametrize("level", LEVELS)
def test_every_token_has_a_name_of_its_own_without_white_space(checkpoint, level):
    tokenizer = checkpoint(level).tokenizer

    words = arpa_words(tokenizer)

    assert len(words) == len(set(words)) == tokenizer.vocab_size
    assert all(word and word.split() == [word] and word.isprintable() for word in words)
    special = [words[i] for i in (tokenizer.start_id, tokenizer.stop_id, tokenizer.other_id)]
    assert special == ["<s>", "</s>", "<unk>"]


def test_white_space_is_called_by_its_code_point(checkpoint):
    tokenizer = checkpoint("char").tokenizer
    words = arpa_words(tokenizer)

    names = [words[token] for token in tokenizer.encode(" \na")]

    assert names == ["<U+0020>", "<U+000A>", "a"]


@pytest.mark.parametrize("suffix", [".arpa", ".arpa.gz"])
@pytest.mark.parametrize("level", LEVELS)
def test_an_ngram_model_comes_back_from_its_file(checkpoint, tmp_path, level, suffix):
    given, path = checkpoint(level), tmp_path / f"model{suffix}"
    model = train_ngram(given, 3)
    write_arpa(model, arpa_words(given.tokenizer), tmp_path / "plain")
    if suffix == ".arpa":
        (tmp_path / "plain").rename(path)
    else:
        path.write_bytes(gzip.compress((tmp_path / "plain").read_bytes()))

    again = read_ngram(given, str(path))

    tokens = tokens_of(given)
    assert again.log_probs(tokens) == pytest.approx(model.log_probs(tokens), abs=1e-4)


def test_a_file_of_another_vocabulary_is_one_clear_line(checkpoint, tmp_path):
    words, characters, path = checkpoint("word"), checkpoint("char"), tmp_path / "chars.arpa"
    write_arpa(train_ngram(characters, 2), arpa_words(characters.tokenizer), path)

    with pytest.raises(TextError, match=r"chars\.arpa") as error:
        read_ngram(words, str(path))

    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "order"),
    [("ngram", 5), ("ngram:3", 3), ("ngram:12", 12), ("words", None), ("ngrams", None)],
)
def test_a_name_says_the_order(name, order):
    assert ngram_order(name) == order


@pytest.mark.parametrize("name", ["ngram:", "ngram:x", "ngram:-1", "ngram:2.5", "ngram:3:4"])
def test_an_order_is_a_whole_number(name):
    with pytest.raises(ConfigError, match="must be a whole number, as in ngram:3"):
        ngram_order(name)


@pytest.mark.parametrize(
    ("name", "claim"),
    [
        ("a.arpa", True),
        ("x/a.arpa.gz", True),
        ("a.b.arpa", True),
        ("arpa", False),
        ("a.txt", False),
    ],
)
def test_an_arpa_file_is_told_by_its_name(name, claim):
    assert is_arpa(name) == claim


def test_a_name_is_a_model_of_ngrams_or_none(checkpoint, tmp_path):
    given, path = checkpoint(), tmp_path / "two.arpa"
    write_arpa(train_ngram(given, 2), arpa_words(given.tokenizer), path)
    evaluator = Evaluator(given)

    by_name, by_file = (ngram_predictor(given, name) for name in ("ngram:2", str(path)))

    expected = -train_ngram(given, 2).log_probs(tokens_of(given, "valid"))
    expected = expected[tokens_of(given, "valid") != given.tokenizer.start_id]
    assert nats(evaluator, by_name) == pytest.approx(expected)
    assert nats(evaluator, by_file) == pytest.approx(expected, abs=1e-4)
    assert ngram_predictor(given, "words") is None


# -- mixtures ---------------------------------------------------------------------------------


def test_models_of_one_vocabulary_can_be_mixed_and_others_not(checkpoint, noisy):
    check_same_vocabulary(checkpoint("word"), noisy)

    with pytest.raises(CheckpointError, match=r"\(word, .*\(char, .*different vocabularies"):
        check_same_vocabulary(checkpoint("word"), checkpoint("char"))


def test_a_mixture_weighs_probabilities_by_name(checkpoint, noisy):
    evaluator = Evaluator(checkpoint())
    members = {
        "words": evaluator.predictor,
        "noisy": Evaluator(noisy).predictor,
        "ngram": NgramPredictor(train_ngram(checkpoint(), 2)),
    }
    weights = {"ngram": 0.5, "words": 0.3, "noisy": 0.2}

    found = nats(evaluator, mix(members, weights))

    expected = sum(w * np.exp(-nats(evaluator, members[name])) for name, w in weights.items())
    assert found == pytest.approx(-np.log(expected))


@pytest.mark.parametrize("weights", [(0.5, 0.4), (0.0, 1.0), (1.2, -0.2), (math.nan, 0.5)])
def test_weights_are_above_0_and_sum_to_1(checkpoint, weights):
    evaluator = Evaluator(checkpoint())
    members = {"a": evaluator.predictor, "b": evaluator.predictor}

    with pytest.raises(ConfigError, match="must be above 0 and sum to 1"):
        mix(members, dict(zip("ab", weights, strict=True)))


def test_fitted_weights_are_at_least_as_good_as_each_member_alone(checkpoint):
    evaluator = Evaluator(checkpoint())
    members = {
        "words": evaluator.predictor,
        "ngram": NgramPredictor(train_ngram(checkpoint(), 3)),
        "unigram": NgramPredictor(train_ngram(checkpoint(), 1)),
    }

    weights = fit_mixture(evaluator, members)

    assert sum(weights.values()) == pytest.approx(1)
    mixed = nats(evaluator, mix(members, weights)).mean()
    alone = {name: nats(evaluator, member).mean() for name, member in members.items()}
    assert mixed < min(alone.values())


def test_no_other_weights_are_better_than_the_fitted_ones(checkpoint):
    evaluator = Evaluator(checkpoint())
    members = {"words": evaluator.predictor, "ngram": NgramPredictor(train_ngram(checkpoint(), 2))}
    probs = [np.exp(-nats(evaluator, member)) for member in members.values()]

    weights = fit_mixture(evaluator, members)

    def surprisal(share):
        return -np.log(share * probs[0] + (1 - share) * probs[1]).mean()

    grid = min(surprisal(share) for share in np.linspace(0, 1, 1001))
    assert surprisal(weights.get("words", 0.0)) == pytest.approx(grid, abs=1e-5)


class Hopeless:
    """Holds every token for all but impossible."""

    stride, max_rows = 1, None

    def initial_state(self, batch_size):
        return None

    def predict(self, inputs, targets, state):
        return Predictions(log_probs=torch.full(targets.shape, -60.0), distribution=None), None


def test_a_member_without_weight_is_left_out(checkpoint):
    evaluator = Evaluator(checkpoint())
    members = {"hopeless": Hopeless(), "words": evaluator.predictor}

    assert fit_mixture(evaluator, members) == {"words": 1.0}


def test_weights_are_fitted_on_the_first_tokens_of_the_validation_part(checkpoint, monkeypatch):
    evaluator = Evaluator(checkpoint())
    members = {"words": evaluator.predictor, "ngram": NgramPredictor(train_ngram(checkpoint(), 2))}
    probs = [np.exp(-nats(evaluator, member)) for member in members.values()]
    monkeypatch.setattr(mixing, "FITTING_TOKENS", 40)
    starts = int((tokens_of(checkpoint(), "valid")[:40] == checkpoint().tokenizer.start_id).sum())

    weights = fit_mixture(evaluator, members)

    first = [each[: 40 - starts] for each in probs]
    grid = np.linspace(0, 1, 1001)
    best = grid[np.argmin([-np.log(s * first[0] + (1 - s) * first[1]).mean() for s in grid])]
    assert weights.get("words", 0.0) == pytest.approx(best, abs=0.01)


def test_without_a_validation_part_weights_cannot_be_fitted(train):
    evaluator = Evaluator(charlm.load(train(split=(90.0, 0.0, 10.0))).checkpoint)

    with pytest.raises(TextError, match="has no valid part"):
        fit_mixture(evaluator, {"a": evaluator.predictor})
