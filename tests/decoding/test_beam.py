"""Beam search against a naive one, against all texts there are, and against greedy decoding."""

import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.decoding import (
    DecodingConfig,
    Hypothesis,
    Rules,
    beam_search,
    beam_steps,
    exhaustive_search,
    generate_tokens,
)
from charlm.decoding.beam import best_places
from charlm.errors import ConfigError
from charlm.model import LanguageModel, ModelConfig

INF = float("inf")
VOCAB_SIZE, STOP = 4, 3


def search(model, rules, *, prompt=(0,), **config):
    return beam_search(model, prompt, DecodingConfig(**config), rules)


@pytest.fixture
def plain(rules_for):
    """Rules of a vocabulary of some size, the last of which is `<stop>`."""
    return lambda vocab_size=VOCAB_SIZE, **words: rules_for(vocab_size, vocab_size - 1, **words)


@pytest.fixture
def tree(prefix_model):
    """A model from the probabilities that follow each prefix."""

    def build(probabilities):
        return prefix_model(
            lambda prefix: torch.tensor(probabilities[prefix], dtype=torch.float64).log()
        )

    return build


# Beams that hold everything

SPACES = [  # what narrows a space of texts, and strings of tokens that do
    ({}, {}),
    ({}, {"barred": (1,)}),
    ({}, {"barred": (0, 2)}),
    ({}, {"barred": (STOP,)}),
    ({"length_penalty": 0.0}, {}),
    ({"length_penalty": 0.5}, {"bias": {1: 1.0, STOP: -0.5}}),
    ({"length_penalty": 2.0}, {"stop_strings": [(0, 1), (2,)]}),
    ({"length_penalty": -1.0}, {"banned": [(0, 1), (2, 2), (1, 0, 0)]}),
    ({"min_new_tokens": 1}, {"stop_strings": [(1, 1)], "banned": [(2, 0)]}),
    ({"repetition_penalty": 1.5, "frequency_penalty": 0.3}, {}),
    ({"no_repeat_ngram_size": 2, "presence_penalty": -0.4}, {"stop_strings": [(2, 1)]}),
]


@pytest.mark.parametrize(("narrowed", "words"), SPACES)
def test_a_beam_as_wide_as_the_space_finds_every_text_there_is(
    random_model, plain, every_text, assert_same, narrowed, words
):
    rules, prompt = plain(**words), (0, 2)
    strings = {name: words.get(name, ()) for name in ("banned", "stop_strings")}
    for seed in range(8):
        model = random_model(seed, VOCAB_SIZE)
        settings = narrowed | {"max_new_tokens": 1 + seed % 4}

        config = DecodingConfig(beam=3**5, **settings)
        found = beam_search(model, prompt, config, rules)
        everything = DecodingConfig(exhaustive=True, num_return_sequences=3**5, **settings)

        assert_same(found, every_text(model, prompt, config, rules, **strings))
        assert_same(found, exhaustive_search(model, prompt, everything, rules))


def test_without_length_penalty_a_beam_that_cuts_no_growing_text_finds_the_best_ones(
    random_model, plain, every_text, assert_same
):
    for seed in range(30):
        model = random_model(seed, VOCAB_SIZE)
        config = DecodingConfig(max_new_tokens=4, length_penalty=0.0, beam=27)

        # At most 3 ** 3 texts grow before the last step, and none gets better by growing.
        found = beam_search(model, (0,), config, plain())

        assert_same(found, every_text(model, (0,), config, plain())[:27])


@pytest.mark.parametrize("length_penalty", [-1.0, 0.0, 1.0, 2.0])
@pytest.mark.parametrize("barred", [(), (0, 2), (STOP,)])
@pytest.mark.parametrize(
    "constraints",
    [
        {},
        {"min_new_tokens": 4},
        {"presence_penalty": 0.5, "frequency_penalty": 0.2},
        {"repetition_penalty": 1.4},
    ],
)
def test_a_beam_of_one_is_greedy(random_model, rules_for, constraints, barred, length_penalty):
    rules, settings = rules_for(5, STOP, barred=barred), {"max_new_tokens": 12} | constraints
    for seed in range(8):
        model, config = random_model(seed, 5), DecodingConfig(greedy=True, **settings)
        steps = generate_tokens(model, [(0,)], config, rules, generators=[])
        greedy = [token for step in steps for token in step.tokens if token != STOP]

        (best,) = search(model, rules, beam=1, length_penalty=length_penalty, **settings)

        assert best.tokens == tuple(greedy)


# Beams of any width


def log_probs_after(model, text):
    return model.logits_after(text).double().log_softmax(-1).tolist()


def naive_search(model, prompt, config, barred, stop_strings):
    """Beam search with groups, one candidate after the other; Vijayakumar et al. 2016."""

    def ends(text):
        return text[-1] == STOP or any(text[-len(s) :] == s for s in stop_strings)

    def score(text, log_prob):
        return log_prob / len(text) ** config.length_penalty

    width = config.beam // config.num_beam_groups
    growing = [[((), 0.0)] for _ in range(config.num_beam_groups)]
    finished = [[] for _ in range(config.num_beam_groups)]
    open_groups = set(range(config.num_beam_groups))
    for length in range(1, config.max_new_tokens + 1):
        chosen = Counter()
        for g in sorted(open_groups):
            candidates = [
                (log_prob + more - config.diversity_penalty * chosen[token], (*text, token), more)
                for text, log_prob in growing[g]
                for token, more in enumerate(log_probs_after(model, (*prompt, *text)))
                if token not in barred
            ]
            totals = dict(growing[g])
            candidates.sort(reverse=True)
            best = [(text, totals[text[:-1]] + more) for _, text, more in candidates[: 2 * width]]
            finished[g] += [entry for entry in best[:width] if ends(entry[0])]
            growing[g] = [entry for entry in best if not ends(entry[0])][:width]
            chosen.update(text[-1] for text, _ in growing[g])
            if length == config.max_new_tokens:
                finished[g] += growing[g]
            finished[g] = sorted(finished[g], key=lambda entry: -score(*entry))[:width]
            worst = score(*finished[g][-1]) if len(finished[g]) == width else -INF
            best_growing = max((score(*entry) for entry in growing[g]), default=-INF)
            if best_growing <= worst or (config.early_stopping and worst > -INF):
                open_groups.discard(g)
    found = [(text, total) for group in finished for text, total in group]
    return sorted(found, key=lambda entry: -score(*entry))


def assert_as_naive(model, prompt, config, rules, stop_strings=()):
    found = beam_search(model, prompt, config, rules)
    expected = naive_search(model, prompt, config, rules.barred, stop_strings)
    paths = [(*h.tokens, STOP) if h.end == "<stop>" else h.tokens for h in found]
    assert paths == [text for text, _ in expected]
    assert [h.log_prob for h in found] == pytest.approx([total for _, total in expected])


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("length_penalty", [-0.5, 0.0, 1.0, 1.7])
@pytest.mark.parametrize(
    "words", [{}, {"barred": (1,)}, {"barred": (STOP,)}, {"stop_strings": [(0, 1), (2, 2), (5,)]}]
)
def test_any_beam_is_as_one_candidate_after_the_other(
    random_model, rules_for, words, length_penalty, early_stopping
):
    rules = rules_for(6, STOP, **words)
    for seed in range(12):
        config = DecodingConfig(
            beam=1 + seed % 6,
            max_new_tokens=1 + seed % 7,
            length_penalty=length_penalty,
            early_stopping=early_stopping,
        )
        model = random_model(seed, 6)
        assert_as_naive(model, (0, 1), config, rules, words.get("stop_strings", ()))


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("diversity_penalty", [0.1, 0.6, 3.0])
@pytest.mark.parametrize(
    "words", [{}, {"barred": (STOP, 1)}, {"stop_strings": [(0, 1), (2, 2), (5,)]}]
)
def test_groups_choose_one_after_the_other(
    random_model, rules_for, words, diversity_penalty, early_stopping
):
    rules = rules_for(6, STOP, **words)
    for seed in range(12):
        groups = 2 + seed % 3
        config = DecodingConfig(
            beam=groups * (1 + seed % 2),
            num_beam_groups=groups,
            diversity_penalty=diversity_penalty,
            max_new_tokens=1 + seed % 5,
            early_stopping=early_stopping,
        )
        model = random_model(seed, 6)
        assert_as_naive(model, (0, 1), config, rules, words.get("stop_strings", ()))


@pytest.mark.parametrize("seed", range(10))
def test_the_first_group_searches_like_a_beam_of_its_own(random_model, plain, seed):
    model, rules = random_model(seed, VOCAB_SIZE), plain()
    config = DecodingConfig(beam=6, num_beam_groups=3, diversity_penalty=0.5, max_new_tokens=6)

    steps = [s for s in beam_steps(model, (0,), config, rules) if s.group == 0]

    own = list(beam_steps(model, (0,), DecodingConfig(beam=2, max_new_tokens=6), rules))
    assert [summary(step) for step in steps] == [summary(step) for step in own]


def summary(step):
    lists = (step.candidates, step.growing, step.finished)
    return step.length, step.done, [[(n.path(), n.score) for n in nodes] for nodes in lists]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("width", [1, 2])
def test_a_huge_penalty_makes_groups_begin_with_different_tokens(random_model, plain, width, seed):
    rules = plain(8)
    config = DecodingConfig(
        beam=3 * width, num_beam_groups=3, diversity_penalty=1e4, max_new_tokens=3
    )

    steps = beam_steps(random_model(seed, 8), (0,), config, rules)

    first = [node.token for step in steps if step.length == 1 for node in step.growing]
    assert len(first) == len(set(first)) == 3 * width


@pytest.mark.parametrize("seed", range(5))
def test_scores_of_groups_are_those_of_the_model(random_model, plain, seed):
    model = random_model(seed, VOCAB_SIZE)

    found = search(
        model, plain(), beam=6, num_beam_groups=3, diversity_penalty=2.0, max_new_tokens=4
    )

    assert_told_truly(model, found, 1.0)


def assert_told_truly(model, found, length_penalty):
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)
    for h in found:
        path = (*h.tokens, STOP) if h.end == "<stop>" else h.tokens
        log_probs = [log_probs_after(model, (0, *path[:t]))[path[t]] for t in range(len(path))]
        assert h.log_prob == pytest.approx(sum(log_probs))
        assert h.score == pytest.approx(h.log_prob / len(path) ** length_penalty)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("length_penalty", [-0.5, 0.0, 0.7, 1.0])
@pytest.mark.parametrize("beam", [1, 2, 3, 5])
def test_hypotheses_are_what_they_say(
    random_model, rules_for, beam, length_penalty, early_stopping
):
    rules = rules_for(5, STOP, barred=(1,), stop_strings=[(0, 0), (2, 4)])
    for seed in range(5):
        model = random_model(seed, 5)

        found = search(
            model,
            rules,
            beam=beam,
            max_new_tokens=6,
            length_penalty=length_penalty,
            early_stopping=early_stopping,
        )

        assert len(found) == beam == len({(h.tokens, h.end) for h in found})
        assert_told_truly(model, found, length_penalty)
        for h in found:
            assert not {1, STOP} & {*h.tokens}
            assert (h.tokens[-2:] in {(0, 0), (2, 4)}) == (h.end == "stop string")
            assert len(h.tokens) < 6 if h.end == "<stop>" else len(h.tokens) <= 6
            assert len(h.tokens) == 6 or h.end != "length"


@pytest.mark.parametrize("beam", [1, 2, 3, 5])
def test_no_beam_beats_exhaustive_search(random_model, plain, every_text, beam):
    config = DecodingConfig(max_new_tokens=4, beam=beam, length_penalty=0.0)
    for seed in range(20):
        model = random_model(seed, VOCAB_SIZE)

        (found, *_) = beam_search(model, (0,), config, plain())

        assert found.score <= every_text(model, (0,), config, plain())[0].score + 1e-9


# What a step says


@pytest.mark.parametrize("groups", [1, 2])
def test_steps_tell_how_the_search_went(random_model, rules_for, groups):
    model, rules = random_model(2, 7), rules_for(7, STOP)
    config = DecodingConfig(
        beam=4, num_beam_groups=groups, diversity_penalty=0.5 * (groups > 1), max_new_tokens=8
    )
    width = 4 // groups

    steps = list(beam_steps(model, (0,), config, rules))

    assert [(s.length, s.group) for s in steps] == sorted((s.length, s.group) for s in steps)
    for step in steps:
        paths = [node.path() for node in step.candidates]
        assert len(set(paths)) == len(paths) <= 2 * width
        assert {len(path) for path in paths} == {step.length}
        assert [n for n in step.candidates if not n.stopped][:width] == step.growing
        scores = [node.score for node in step.finished]
        assert scores == sorted(scores, reverse=True)
        assert len(scores) <= width
    last = {step.group: step for step in steps}
    assert [step.done for step in steps] == [step is last[step.group] for step in steps]
    found = [node.hypothesis(rules) for step in last.values() for node in step.finished]
    assert sorted(found, key=lambda h: -h.score) == beam_search(model, (0,), config, rules)


def test_steps_come_one_at_a_time(random_model, plain):
    model = random_model(0, VOCAB_SIZE)

    steps = beam_steps(model, (0,), DecodingConfig(beam=3, max_new_tokens=9), plain(barred=(STOP,)))

    assert model.batch_sizes == []
    assert next(steps).length == 1
    assert next(steps).length == 2
    assert model.batch_sizes == [1, 3]


# Known answers


def test_a_beam_finds_what_greedy_decoding_misses(tree, plain):
    model = tree(
        {(0,): [0.6, 0.4, 0.0], (0, 0): [0.4, 0.3, 0.3], (0, 1): [0.9, 0.1, 0.0]},
    )

    (greedy,) = search(model, plain(3), beam=1, max_new_tokens=2)
    best, second = search(model, plain(3), beam=2, max_new_tokens=2, length_penalty=0.0)

    assert greedy.tokens == (0, 0)
    assert (best.tokens, second.tokens) == ((1, 0), (0, 0))
    assert best.log_prob == pytest.approx(math.log(0.36))


def test_a_text_that_ends_takes_no_place_from_those_that_grow(tree, plain):
    model = tree(
        {(0,): [0.3, 0.25, 0.45], (0, 0): [0.5, 0.5, 0.0], (0, 1): [1.0, 0.0, 0.0]},
    )

    found = search(model, plain(3), beam=2, max_new_tokens=2, length_penalty=0.0)

    assert [h.tokens for h in found] == [(), (1, 0)]


def test_a_text_that_ends_outside_the_beam_is_forgotten(tree, plain):
    model = tree({(0,): [0.5, 0.3, 0.2], (0, 0): [0.1, 0.9, 0.0], (0, 1): [1.0, 0.0, 0.0]})

    found = search(model, plain(3), beam=2, max_new_tokens=2, length_penalty=0.0)

    assert [h.tokens for h in found] == [(0, 1), (1, 0)]
    assert [h.end for h in found] == ["length", "length"]


EARLY = {
    (0,): [0.6, 0.4],  # token 0 goes on, token 1 stops
    (0, 0): [0.6, 0.4],
    (0, 0, 0): [0.0, 1.0],
}


@pytest.mark.parametrize(
    ("early_stopping", "found", "probabilities", "num_steps"),
    [(True, [(), (0,)], [0.4, 0.24], 2), (False, [(), (0, 0)], [0.4, 0.36], 3)],
)
def test_a_full_beam_waits_for_something_better_unless_it_stops_early(
    tree, plain, early_stopping, found, probabilities, num_steps
):
    model = tree(EARLY)

    hypotheses = search(
        model,
        plain(2),
        beam=2,
        max_new_tokens=9,
        length_penalty=0.0,
        early_stopping=early_stopping,
    )

    assert [h.tokens for h in hypotheses] == found
    assert [math.exp(h.score) for h in hypotheses] == pytest.approx(probabilities)
    assert len(model.batch_sizes) == num_steps


def test_the_search_ends_when_nothing_that_grows_can_win(tree, plain):
    model = tree({(0,): [0.1, 0.9]})

    (best,) = search(model, plain(2), beam=1, max_new_tokens=100, length_penalty=0.0)

    assert (best.tokens, best.end) == ((), "<stop>")
    assert len(model.batch_sizes) == 1


@pytest.mark.parametrize("beam", [1, 2, 7])
def test_a_length_penalty_of_one_prefers_the_better_mean(tree, plain, beam):
    model = tree({(0,): [0.55, 0.45], (0, 0): [0.9, 0.1], (0, 0, 0): [0.9, 0.1]})

    best = search(model, plain(2), beam=beam, max_new_tokens=3, length_penalty=1.0)[0]

    log_prob = math.log(0.55 * 0.81)
    assert best == Hypothesis(
        (0, 0, 0), pytest.approx(log_prob), pytest.approx(log_prob / 3), "length"
    )


@pytest.mark.parametrize("max_new_tokens", [1, 2, 5])
def test_fewer_texts_than_the_beam_are_all_found(random_model, plain, max_new_tokens):
    found = search(random_model(0, 2), plain(2), beam=50, max_new_tokens=max_new_tokens)

    assert sorted(len(h.tokens) for h in found) == list(range(max_new_tokens + 1))
    assert Counter(h.end for h in found) == {"<stop>": max_new_tokens, "length": 1}


def test_all_probability_on_stop_gives_the_empty_text(tree, plain):
    found = search(tree({(0,): [0.0, 1.0]}), plain(2), beam=4, max_new_tokens=5)

    assert found == [Hypothesis((), 0.0, 0.0, "<stop>")]


def test_barred_tokens_cost_their_probability(tree, plain):
    model = tree({(0,): [0.5, 0.2, 0.3, 0.0]})

    found = search(model, plain(barred=(0,)), beam=2, max_new_tokens=1)

    assert [h.tokens for h in found] == [(2,), (1,)]
    assert [math.exp(h.log_prob) for h in found] == pytest.approx([0.3, 0.2])


@pytest.mark.parametrize("length_penalty", [-10.0, 10.0])
def test_the_largest_length_penalties_can_be_searched_with(random_model, plain, length_penalty):
    model = random_model(0, VOCAB_SIZE)

    found = search(model, plain(), beam=2, length_penalty=length_penalty, max_new_tokens=30)

    assert all(math.isfinite(h.score) for h in found)


def test_texts_that_run_into_barred_tokens_are_dropped_and_the_others_kept(random_model, rules_for):
    rules = rules_for(4, STOP, barred=(STOP,), banned=[(0, 0), (0, 1), (0, 2)])

    found = search(random_model(0, 4), rules, prompt=(1,), beam=20, max_new_tokens=3)

    assert {h.tokens for h in found} == {
        (*two, last) for two in ((1, 1), (1, 2), (2, 1), (2, 2)) for last in (0, 1, 2)
    }


def test_a_search_that_runs_into_barred_tokens_alone_is_an_error(random_model, rules_for):
    rules = rules_for(4, STOP, barred=(STOP,))

    with pytest.raises(ConfigError, match="no text is left"):
        search(random_model(0, 4), rules, beam=3, max_new_tokens=9, no_repeat_ngram_size=1)


# Order


@settings(max_examples=200)
@given(st.lists(st.sampled_from([-INF, -2.0, -1.0, 0.0]), min_size=1, max_size=20), st.data())
def test_the_best_places_are_those_of_a_stable_sort(values, data):
    count = data.draw(st.integers(1, 25))

    places = best_places(torch.tensor(values)[None], count)

    possible = [place for place, value in enumerate(values) if value > -INF]
    assert places == sorted(possible, key=lambda place: -values[place])[:count]


@pytest.mark.parametrize("beam", [1, 3, 5])
def test_of_equally_probable_tokens_the_first_are_taken(prefix_model, rules_for, beam):
    model = prefix_model(lambda prefix: torch.zeros(50))

    found = search(model, rules_for(50, 49), beam=beam, max_new_tokens=1)

    assert [h.tokens for h in found] == [(token,) for token in range(beam)]


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("settings", [{"beam": 5}, {"beam": 4, "num_beam_groups": 2}])
def test_a_language_model_is_searched_by_its_logits_over_whole_texts(cell, settings, prefix_model):
    torch.manual_seed(0)
    sizes = {"embedding_size": 8, "hidden_size": 8, "num_layers": 2}
    model = LanguageModel(ModelConfig(vocab_size=6, cell=cell, **sizes)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    rules = Rules(vocab_size=6, stop_id=STOP)
    settings = settings | {"diversity_penalty": 0.5 * ("num_beam_groups" in settings)}

    def logits_after(prefix):
        return model(torch.tensor([prefix]), model.initial_state(1))[0][0, -1]

    found = search(model, rules, prompt=(0, 1), max_new_tokens=8, **settings)
    expected = search(
        prefix_model(logits_after), rules, prompt=(0, 1), max_new_tokens=8, **settings
    )

    assert [h.tokens for h in found] == [h.tokens for h in expected]
    assert [h.score for h in found] == pytest.approx([h.score for h in expected], rel=1e-4)
