"""Greedy and sampled text: chosen from the model's distribution and nothing else."""

import math
from collections import Counter
from itertools import islice

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from charlm.decoding import DecodingConfig, Rules, generate_tokens, sampling
from charlm.decoding.sampling import BELOW_ONE, DRAWN, Uniforms, draw, shape_distribution
from charlm.errors import CheckpointError, ConfigError
from charlm.model import LanguageModel, ModelConfig, fastest_steps

INF = float("inf")
VOCAB_SIZE = 6
START, STOP, OTHER = 3, 4, 5
RULES = Rules(vocab_size=VOCAB_SIZE, stop_id=STOP)
ENDLESS = Rules(vocab_size=VOCAB_SIZE, stop_id=STOP, barred=(STOP,))


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def write(model, prompts, rules=RULES, *, seeds=None, watches=None, **settings):
    """The tokens of each text, `<stop>` included."""
    steps = generate_tokens(
        model,
        prompts,
        DecodingConfig(**{"max_new_tokens": 20} | settings),
        rules,
        generators=[seeded(seed) for seed in seeds or range(len(prompts))],
        watches=watches,
    )
    texts = [[] for _ in prompts]
    for step in steps:
        for row, token in zip(step.rows, step.tokens, strict=True):
            texts[row].append(token)
    return texts


class CountedWatch:
    """Ends its text after some tokens."""

    def __init__(self, num_tokens):
        self.tokens_left = num_tokens

    def push(self, token):
        self.tokens_left -= 1
        return self.tokens_left == 0


# Distributions


def assert_drawn_from(expected, texts):
    """`texts` are drawn from `expected`, the probability of each; by a chi-square test."""
    counts = Counter(texts)
    assert counts.keys() <= expected.keys()
    mean = {text: probability * len(texts) for text, probability in expected.items()}
    assert sum(mean.values()) == pytest.approx(len(texts))
    often = [text for text in mean if mean[text] >= 5]
    observed, due = [counts[text] for text in often], [mean[text] for text in often]
    if sum(due) < len(texts) - 1e-6:  # what is rare, all together
        observed.append(len(texts) - sum(observed))
        due.append(len(texts) - sum(due))
    assert chisquare(observed, np.array(due) * sum(observed) / sum(due)).pvalue > 0.001


SAMPLERS = {
    "plain": {},
    "cold": {"temperature": 0.6},
    "hot": {"temperature": 1.7},
    "top-k": {"top_k": 2},
    "top-p": {"top_p": 0.7},
    "min-p": {"min_p": 0.3},
    "typical": {"typical_p": 0.6},
    "repetition": {"repetition_penalty": 1.8},
    "presence": {"presence_penalty": 0.8},
    "frequency": {"frequency_penalty": 0.6},
    "n-grams": {"no_repeat_ngram_size": 2},
    "filters": {"temperature": 1.4, "top_k": 3, "top_p": 0.95, "min_p": 0.1, "typical_p": 0.9},
    "penalties": {"repetition_penalty": 0.8, "presence_penalty": 0.5, "frequency_penalty": -0.3},
    "all": {
        "temperature": 0.8,
        "top_k": 3,
        "top_p": 0.9,
        "min_p": 0.05,
        "repetition_penalty": 1.3,
        "presence_penalty": 0.3,
        "frequency_penalty": 0.2,
    },
}


@pytest.mark.parametrize("name", [*SAMPLERS, "bias"])
def test_100_000_tokens_follow_the_distribution_that_the_settings_state(
    monkeypatch, markov_model, rules_for, every_text, name
):
    monkeypatch.setattr(sampling, "DRAWN", 4)  # no more numbers than tokens, for speed
    model = markov_model(torch.randn(5, 5, generator=seeded(1), dtype=torch.float64) * 1.2)
    bias = {0: 1.0, 2: -0.7} if name in ("bias", "all") else {}
    config = DecodingConfig(max_new_tokens=4, **SAMPLERS.get(name, {}))
    rules, prompt = rules_for(5, 4, barred=(4,), bias=bias), (0, 1, 1)

    texts = write(model, [prompt] * 25_000, rules, max_new_tokens=4, **SAMPLERS.get(name, {}))

    found = every_text(model, prompt, config, rules, sampled=True)
    assert_drawn_from({h.tokens: math.exp(h.log_prob) for h in found}, map_to_tuples(texts))


def map_to_tuples(texts):
    return [tuple(text) for text in texts]


def test_texts_that_may_end_have_the_probability_that_the_model_gives_them(
    random_model, rules_for, every_text
):
    model, prompt = random_model(3, 4), (0,)
    settings = {"max_new_tokens": 4, "min_new_tokens": 1, "temperature": 1.3, "top_p": 0.97}
    words = {"banned": [(0, 1), (2, 2, 2)], "stop_strings": [(2, 0)]}
    rules = rules_for(4, 3, **words)

    texts = write(
        model, [prompt] * 20_000, rules, watches=[rules.watch() for _ in range(20_000)], **settings
    )

    found = every_text(model, prompt, DecodingConfig(**settings), rules, sampled=True, **words)
    ends = {"<stop>": (3,), "stop string": (), "length": ()}
    expected = {h.tokens + ends[h.end]: math.exp(h.log_prob) for h in found}
    assert_drawn_from(expected, map_to_tuples(texts))


# One draw


def test_a_draw_inverts_the_distribution_function():
    logits = torch.randn(500, 50, generator=seeded(0), dtype=torch.float64)
    numbers = torch.rand(500, 1, generator=seeded(1), dtype=torch.float64)

    drawn = draw(logits, numbers)

    assert drawn.shape == (500,)
    powers = np.exp(logits.numpy())
    for row, token, number in zip(powers, drawn.tolist(), numbers.flatten().tolist(), strict=True):
        assert row[:token].sum() / row.sum() <= number + 1e-12
        assert row[: token + 1].sum() / row.sum() >= number - 1e-12


@pytest.mark.parametrize(("number", "token"), [(0.0, 1), (BELOW_ONE, 4)])
def test_the_least_and_the_greatest_number_draw_possible_tokens(number, token):
    logits = torch.full((300, 6), -INF, dtype=torch.float64)
    logits[:, 1:5] = torch.randn(300, 4, generator=seeded(0), dtype=torch.float64) * 5

    drawn = draw(logits, torch.full((300, 1), number, dtype=torch.float64))

    assert drawn.tolist() == [token] * 300


@pytest.mark.parametrize("spread", [0.0, 1.0, 20.0])
def test_rounding_over_a_large_vocabulary_draws_no_token_that_is_none(spread):
    logits = torch.randn(4, 100_000, generator=seeded(0), dtype=torch.float64) * spread

    drawn = draw(logits, torch.full((4, 1), BELOW_ONE, dtype=torch.float64))

    assert drawn.max() < 100_000


def test_a_token_without_probability_is_never_drawn():
    logits = torch.tensor([-INF, 0.0, -INF, -INF, 0.0, -INF], dtype=torch.float64)

    drawn = draw(logits.expand(2000, 6), torch.arange(2000, dtype=torch.float64)[:, None] / 2000)

    assert set(drawn.tolist()) == {1, 4}


def test_each_row_gets_the_numbers_of_its_generator_in_their_order():
    uniforms = Uniforms([seeded(0), seeded(1), seeded(2)])

    first = list(uniforms.next(DRAWN - 1).unsqueeze(2))
    uniforms.select([0, 2])
    rest = [uniforms.next(1)[0].unsqueeze(1) for _ in range(DRAWN + 2)]

    for row, column, seed in ((0, 0, 0), (2, 1, 2)):
        numbers = [n[row].item() for n in first] + [n[column].item() for n in rest]
        generator, expected = seeded(seed), []
        for _ in range(3):
            expected += torch.rand(DRAWN, generator=generator, dtype=torch.float64).tolist()
        assert numbers == [number * BELOW_ONE for number in expected[: len(numbers)]]


@pytest.mark.parametrize("settings", SAMPLERS.values(), ids=SAMPLERS)
@pytest.mark.parametrize("leading", [(), (4,), (2, 3)])
def test_a_distribution_of_any_leading_shape_is_shaped_by_the_same_rules(shaped, settings, leading):
    logits = torch.randn(*leading, VOCAB_SIZE, generator=seeded(0), dtype=torch.float64)
    config, before = DecodingConfig(**settings), logits.clone()

    probs = shape_distribution(logits, config).softmax(-1)

    for row, found in zip(before.view(-1, VOCAB_SIZE), probs.view(-1, VOCAB_SIZE), strict=True):
        expected = torch.tensor(shaped(row.tolist(), config), dtype=torch.float64).softmax(-1)
        torch.testing.assert_close(found, expected)
    assert logits.equal(before)


# Greedy


def naive_greedy(model, prompt, config, rules, constrained):
    """The most probable token, again and again."""
    text = []
    while len(text) < config.max_new_tokens and rules.stop_id not in text:
        logits = model.logits_after((*prompt, *text)).tolist()
        logits = constrained(logits, prompt, text, config, rules)
        text.append(max(range(len(logits)), key=lambda token: logits[token]))
    return text


CONSTRAINTS = [
    {},
    {"min_new_tokens": 7},
    {"repetition_penalty": 1.5, "frequency_penalty": 0.5},
    {"no_repeat_ngram_size": 2, "presence_penalty": -1.0},
]


@pytest.mark.parametrize("settings", CONSTRAINTS)
@pytest.mark.parametrize("barred", [(), (0,), (START, OTHER)])
@pytest.mark.parametrize("mode", [{"greedy": True}, {"temperature": 0.0}, {"top_k": 1}])
def test_greedy_texts_take_the_most_probable_token(
    random_model, rules_for, constrained, mode, barred, settings
):
    rules, prompt = rules_for(VOCAB_SIZE, STOP, barred=barred, bias={1: 0.5}), (START, 0)
    config = DecodingConfig(max_new_tokens=20, **settings)

    for seed in range(5):
        model = random_model(seed, VOCAB_SIZE)
        (text,) = write(model, [prompt], rules, **mode, **settings)

        assert text == naive_greedy(model, prompt, config, rules, constrained)


def test_greedy_texts_of_random_models_end_by_stop_and_by_length(random_model):
    texts = [write(random_model(seed, 6), [(START,)], greedy=True)[0] for seed in range(30)]

    assert len({len(text) for text in texts}) > 3  # the law above is not about empty texts
    assert any(text[-1] != STOP for text in texts)


@pytest.mark.parametrize("temperature", [1e-3, 1e-30, 1e-300, 5e-324])
def test_a_temperature_near_zero_is_greedy(random_model, temperature):
    for seed in range(5):
        model = random_model(seed, VOCAB_SIZE, spread=10)

        cold = write(model, [(START,)] * 3, temperature=temperature)

        assert cold == write(model, [(START,)] * 3, greedy=True)


@pytest.mark.parametrize("temperature", [1e3, 1e38, 1e300])
def test_a_very_high_temperature_draws_every_allowed_token_alike(prefix_model, temperature):
    model = prefix_model(lambda prefix: torch.tensor([5.0, -INF, -5.0, 1.0, 2.0, -INF]))

    texts = write(model, [(START,)] * 3000, ENDLESS, max_new_tokens=1, temperature=temperature)

    counts = np.bincount([token for (token,) in texts], minlength=VOCAB_SIZE)
    assert counts[1] == counts[STOP] == counts[5] == 0
    assert chisquare(counts[[0, 2, 3]]).pvalue > 0.001


# Where texts end


@pytest.mark.parametrize("greedy", [True, False])
def test_a_text_ends_with_stop_which_is_yielded(prefix_model, greedy):
    script = [0, 1, 2, 1, STOP, 0]

    def logits_after(prefix):
        logits = torch.full((VOCAB_SIZE,), -INF)
        logits[script[len(prefix) - 1]] = 0.0
        return logits

    model = prefix_model(logits_after)

    assert write(model, [(START,)], greedy=greedy) == [[0, 1, 2, 1, STOP]]
    assert len(model.batch_sizes) == 5


@pytest.mark.parametrize("greedy", [True, False])
@pytest.mark.parametrize("max_new_tokens", [1, 2, 9])
def test_a_text_ends_at_max_new_tokens(random_model, max_new_tokens, greedy):
    model = random_model(0, VOCAB_SIZE)

    texts = write(model, [(START,)] * 3, ENDLESS, max_new_tokens=max_new_tokens, greedy=greedy)

    assert [len(text) for text in texts] == [max_new_tokens] * 3
    assert len(model.batch_sizes) == max_new_tokens  # no step is taken in vain


@pytest.mark.parametrize("min_new_tokens", [1, 5, 12])
def test_no_text_stops_before_min_new_tokens(random_model, min_new_tokens):
    model = random_model(0, VOCAB_SIZE)

    texts = write(model, [(START,)] * 50, min_new_tokens=min_new_tokens)

    lengths = {text.index(STOP) for text in texts if STOP in text}
    assert min(lengths) == min_new_tokens


def test_a_text_ends_where_its_watch_says_so(random_model, end_watch):
    model = random_model(0, VOCAB_SIZE)
    begin = end_watch((0, 1), (2,))

    watched = write(model, [(START,)] * 50, watches=[begin() for _ in range(50)])

    for text, whole in zip(watched, write(model, [(START,)] * 50), strict=True):
        watch = begin()
        ends = [place for place, token in enumerate(whole) if watch.push(token)]
        assert text == (whole[: ends[0] + 1] if ends else whole)


def test_watches_see_every_token_but_stop(random_model):
    seen = [[] for _ in range(20)]

    class Listener:
        def __init__(self, row):
            self.row = row

        def push(self, token):
            seen[self.row].append(token)
            return False

    texts = write(
        random_model(0, VOCAB_SIZE), [(START,)] * 20, watches=[Listener(row) for row in range(20)]
    )

    assert seen == [[token for token in text if token != STOP] for text in texts]


@pytest.mark.parametrize("mode", [{"greedy": True}, {}, {"temperature": 0.5}, {"top_p": 0.5}])
@pytest.mark.parametrize(
    ("words", "settings"),
    [
        ({"barred": (START, STOP, OTHER)}, {"no_repeat_ngram_size": 1}),
        ({"barred": (1, 2, START, STOP, OTHER), "banned": [(0, 0)]}, {}),
        ({"barred": tuple(range(VOCAB_SIZE))}, {}),
        ({"barred": (0, 1, 2, START, OTHER)}, {"min_new_tokens": 1}),
    ],
)
def test_a_text_that_cannot_go_on_is_an_error(random_model, rules_for, words, settings, mode):
    rules = rules_for(VOCAB_SIZE, STOP, **words)

    with pytest.raises(ConfigError, match="no token is left"):
        write(random_model(0, VOCAB_SIZE), [(START,)], rules, **settings, **mode)


# Texts beside each other

PROMPTS = [(START,), (0, 1, 2, 0), (0,), (START,), (1, 1), (2, 0, 1, 2, 0, 1, 0)]
ALONGSIDE = [
    {},
    {"greedy": True},
    {"temperature": 0.7, "top_p": 0.9},
    {"repetition_penalty": 1.5, "no_repeat_ngram_size": 3, "frequency_penalty": 0.2},
]


@pytest.mark.parametrize("settings", ALONGSIDE)
@pytest.mark.parametrize("watched", [False, True])
def test_a_text_is_the_same_in_any_batch(random_model, rules_for, end_watch, settings, watched):
    model, count = random_model(5, VOCAB_SIZE), len(PROMPTS)
    rules = rules_for(VOCAB_SIZE, STOP, banned=[(0, 1), (2, 2, 2)])
    begin = end_watch((1, 0), (5, 5))

    def in_batches_of(size):
        texts = []
        for first in range(0, count, size):
            prompts = PROMPTS[first : first + size]
            seeds = range(first, first + len(prompts))
            watches = [begin() for _ in prompts] if watched else None
            texts += write(model, prompts, rules, seeds=seeds, watches=watches, **settings)
        return texts

    alone = in_batches_of(1)

    assert len({len(text) for text in alone}) > 2
    for size in range(2, count + 1):
        assert in_batches_of(size) == alone


def test_texts_that_have_ended_leave_the_batch(random_model):
    model = random_model(5, VOCAB_SIZE)

    steps = list(
        generate_tokens(
            model,
            [(START,)] * 30,
            DecodingConfig(max_new_tokens=50),
            RULES,
            generators=[seeded(seed) for seed in range(30)],
        )
    )

    going = list(range(30))
    for step in steps:
        assert step.rows == going
        assert len(step.tokens) == len(going)
        going = [row for row, t in zip(step.rows, step.tokens, strict=True) if t != STOP]
    assert not going
    assert model.batch_sizes == [1, *(len(step.rows) for step in steps[1:])]


def test_long_texts_stay_the_same_while_others_leave(markov_model):
    model = markov_model(torch.randn(6, 6, generator=seeded(0)))
    lengths = [DRAWN - 1, 2 * DRAWN + 7, 3, DRAWN, 2 * DRAWN, DRAWN + 1]
    settings = {"max_new_tokens": 3 * DRAWN}

    texts = write(
        model, [(0,)] * 6, ENDLESS, watches=[CountedWatch(n) for n in lengths], **settings
    )

    for seed, (text, length) in enumerate(zip(texts, lengths, strict=True)):
        (alone,) = write(model, [(0,)], ENDLESS, seeds=[seed], **settings)
        assert text == alone[:length]


# Randomness and laziness


def test_a_seed_gives_the_same_tokens_and_another_seed_others(random_model):
    model = random_model(0, VOCAB_SIZE)

    first, again, other = write(model, [(START,)] * 3, ENDLESS, seeds=[5, 5, 6])

    assert first == again
    assert first != other


def test_sampling_takes_randomness_from_its_generators_alone(random_model):
    model = random_model(0, VOCAB_SIZE)

    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = write(model, [(START,)], ENDLESS)

    assert torch.get_rng_state().equal(before)
    torch.manual_seed(2)
    assert write(model, [(START,)], ENDLESS) == first


def test_greedy_decoding_draws_nothing(random_model):
    generator = seeded(0)
    before = generator.get_state()

    config = DecodingConfig(greedy=True, max_new_tokens=5)
    list(
        generate_tokens(
            random_model(0, VOCAB_SIZE), [(START,)], config, RULES, generators=[generator]
        )
    )

    assert generator.get_state().equal(before)


def test_tokens_come_one_step_at_a_time(random_model):
    model = random_model(0, VOCAB_SIZE)
    steps = generate_tokens(
        model,
        [(START, 0)],
        DecodingConfig(max_new_tokens=1000),
        ENDLESS,
        generators=[seeded(0)],
    )

    assert len(list(islice(steps, 3))) == 3
    assert len(model.batch_sizes) == 4  # two of the prompt, one for each token before the last


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_language_model_writes_what_its_logits_over_the_whole_text_say(cell, prefix_model):
    torch.manual_seed(0)
    sizes = {"embedding_size": 8, "hidden_size": 8, "num_layers": 2}
    model = LanguageModel(ModelConfig(vocab_size=VOCAB_SIZE, cell=cell, **sizes)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    prompts = [(START,), (START, 0, 1), (START, 2)]

    def logits_after(prefix):
        return model(torch.tensor([prefix]), model.initial_state(1))[0][0, -1]

    for greedy in (True, False):
        texts = write(model, prompts, ENDLESS, greedy=greedy)
        assert texts == write(prefix_model(logits_after), prompts, ENDLESS, greedy=greedy)


@pytest.mark.parametrize("settings", [{}, {"temperature": 0.7}, {"greedy": True}])
def test_chunks_and_single_steps_write_the_same_texts(monkeypatch, settings):
    torch.manual_seed(5)
    config = ModelConfig(vocab_size=12, embedding_size=20, hidden_size=20)
    steps = fastest_steps(LanguageModel(config).eval(), 2)
    decoding = DecodingConfig(max_new_tokens=90, **settings)
    rules = Rules(vocab_size=12, stop_id=10, barred=(9, 11), bias={3: 0.5, 10: -1.0})

    def texts():
        written = {row: [] for row in range(6)}
        prompts = [(9,), (9, 1, 2), (9,), (9, 4), (9, 5), (9, 6)]
        generators = [seeded(row) for row in range(6)]
        for step in generate_tokens(steps, prompts, decoding, rules, generators=generators):
            for row, token in zip(step.rows, step.tokens, strict=True):
                written[row].append(token)
        return written

    in_chunks = texts()
    monkeypatch.setattr("charlm.decoding.sampling.may_write_chunks", lambda *_: False)

    assert in_chunks == texts()
    assert len({len(text) for text in in_chunks.values()}) > 1 or settings == {"greedy": True}


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_logits_that_are_no_numbers_are_an_error(value):
    logits = torch.zeros(2, 5, dtype=torch.float64)
    logits[1, 3] = value

    with pytest.raises(CheckpointError, match="gives no probabilities"):
        draw(logits, torch.full((2, 1), 0.5, dtype=torch.float64))
