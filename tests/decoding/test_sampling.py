"""Greedy and sampled text: chosen from the model's distribution and nothing else."""

from itertools import islice

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from charlm.decoding import DecodingConfig, draw, generate_tokens, scale_temperature
from charlm.decoding.sampling import choose, read_prompt
from charlm.model import LanguageModel, ModelConfig

INF = float("inf")
VOCAB_SIZE = 6
START, STOP, OTHER = 3, 4, 5


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def generate(model, *, prompt=(START,), barred=(), stop_id=STOP, seed=0, **settings):
    settings = {"max_new_tokens": 20} | settings
    tokens = generate_tokens(
        model,
        prompt,
        DecodingConfig(**settings),
        barred=barred,
        stop_id=stop_id,
        generator=seeded(seed),
    )
    return list(tokens)


def naive_greedy(model, prompt, max_new_tokens, barred, stop_id):
    """The most probable token, again and again."""
    text = tuple(prompt)
    for _ in range(max_new_tokens):
        logits = model.logits_after(text).tolist()
        allowed = [token for token in range(len(logits)) if token not in barred]
        token = max(allowed, key=lambda t: logits[t])
        if token == stop_id:
            break
        text += (token,)
    return list(text[len(prompt) :])


@pytest.mark.parametrize("temperature", [0.3, 0.7, 1.0, 2.0])
def test_draws_follow_the_softmax(temperature):
    logits = torch.tensor([0.3, 0.25, 0.2, 0.15, 0.1]).log() + 3
    generator = seeded()

    drawn = [draw(scale_temperature(logits, temperature), generator) for _ in range(20_000)]

    powers = np.array([0.3, 0.25, 0.2, 0.15, 0.1]) ** (1 / temperature)
    expected = 20_000 * powers / powers.sum()
    assert chisquare(np.bincount(drawn, minlength=5), expected).pvalue > 0.001


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_draw_inverts_the_distribution_function_with_one_number_a_token(dtype):
    torch.manual_seed(0)
    logits = torch.randn(50).to(dtype)
    probabilities = np.exp(logits.double().numpy())
    probabilities /= probabilities.sum()
    numbers = seeded(7)

    drawn = [draw(logits, numbers) for _ in range(200)]

    for token, number in zip(drawn, uniforms(7, 200), strict=True):
        assert probabilities[:token].sum() <= number + 1e-12
        assert probabilities[: token + 1].sum() >= number - 1e-12


def uniforms(seed, count):
    generator = seeded(seed)
    return [torch.rand((), generator=generator, dtype=torch.float64).item() for _ in range(count)]


@pytest.mark.parametrize("certain", range(4))
def test_a_certain_token_is_always_drawn(certain):
    logits = torch.full((4,), -INF)
    logits[certain] = -3.0
    generator = seeded()

    assert {draw(logits, generator) for _ in range(500)} == {certain}


def test_a_token_without_probability_is_never_drawn():
    logits = torch.tensor([-INF, 0.0, -INF, -INF, 0.0, -INF])
    generator = seeded()

    assert {draw(logits, generator) for _ in range(2000)} == {1, 4}


@pytest.mark.parametrize(("number", "token"), [(0.0, 1), (1 - 2**-53, 4)])
def test_the_least_and_the_greatest_number_draw_possible_tokens(monkeypatch, number, token):
    monkeypatch.setattr(
        torch, "rand", lambda *size, **options: torch.tensor(number, dtype=torch.float64)
    )
    rows = torch.full((100, 6), -INF)
    torch.manual_seed(0)
    rows[:, 1:5] = torch.randn(100, 4) * 5

    assert {draw(row, seeded()) for row in rows} == {token}


@pytest.mark.parametrize("temperature", [1e-3, 1e-30, 1e-300, 5e-324])
@pytest.mark.parametrize("seed", range(5))
def test_a_temperature_near_zero_is_greedy(random_model, seed, temperature):
    model = random_model(seed, VOCAB_SIZE, spread=10)
    barred = (START, OTHER)

    cold = generate(model, barred=barred, temperature=temperature)

    assert cold == generate(model, barred=barred, greedy=True)


@pytest.mark.parametrize("temperature", [1e3, 1e38, 1e300])
def test_a_very_high_temperature_draws_every_allowed_token_alike(temperature):
    logits = torch.tensor([[5.0, -INF, -5.0, 1.0, -INF]])
    config, generator = DecodingConfig(temperature=temperature), seeded()

    drawn = [choose(logits, config, generator) for _ in range(3000)]

    counts = np.bincount(drawn, minlength=5)
    assert counts[1] == counts[4] == 0
    assert chisquare(counts[[0, 2, 3]]).pvalue > 0.001


@pytest.mark.parametrize("barred", [(), (0,), (START, OTHER)])
@pytest.mark.parametrize("greedy", [{"greedy": True}, {"temperature": 0.0}])
@pytest.mark.parametrize("seed", range(10))
def test_greedy_and_zero_temperature_take_the_most_probable_token(
    random_model, seed, greedy, barred
):
    model = random_model(seed, VOCAB_SIZE)

    text = generate(model, barred=barred, seed=seed, **greedy)

    assert text == naive_greedy(model, (START,), 20, barred, STOP)


def test_greedy_texts_of_random_models_end_by_stop_and_by_length(random_model):
    lengths = {len(generate(random_model(seed, 6), greedy=True)) for seed in range(10)}

    assert 20 in lengths or len(lengths) > 3  # the law above is not about empty texts


@pytest.mark.parametrize("greedy", [True, False])
def test_text_ends_at_stop_which_is_not_yielded(prefix_model, greedy):
    script = [0, 1, 2, 1, STOP, 0]

    def logits_after(prefix):
        logits = torch.full((VOCAB_SIZE,), -INF)
        logits[script[len(prefix) - 1]] = 0.0
        return logits

    model = prefix_model(logits_after)

    assert generate(model, greedy=greedy) == [0, 1, 2, 1]
    assert model.num_steps == 5


@pytest.mark.parametrize("greedy", [True, False])
@pytest.mark.parametrize("max_new_tokens", [1, 2, 9])
def test_text_ends_at_max_new_tokens(random_model, max_new_tokens, greedy):
    model = random_model(0, VOCAB_SIZE)

    text = generate(model, barred=(STOP,), max_new_tokens=max_new_tokens, greedy=greedy)

    assert len(text) == max_new_tokens


@pytest.mark.parametrize("greedy", [True, False])
@pytest.mark.parametrize("seed", range(10))
def test_barred_tokens_are_never_yielded(random_model, seed, greedy):
    text = generate(
        random_model(seed, VOCAB_SIZE),
        barred=(START, OTHER, STOP),
        greedy=greedy,
        max_new_tokens=50,
        seed=seed,
    )

    assert set(text) <= {0, 1, 2}


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_sampled_texts_have_the_probability_that_the_model_gives_them(random_model, temperature):
    model, stop_id = random_model(3, 3), 2
    settings = {"max_new_tokens": 2, "temperature": temperature}

    texts = [
        tuple(generate(model, prompt=(0,), stop_id=stop_id, seed=seed, **settings))
        for seed in range(4000)
    ]

    def probabilities(prefix):
        return (model.logits_after(prefix).double() / temperature).softmax(-1).numpy()

    first = probabilities((0,))
    expected = {(): first[stop_id]}
    for token in (0, 1):
        second = probabilities((0, token))
        expected[(token,)] = first[token] * second[stop_id]
        expected |= {(token, other): first[token] * second[other] for other in (0, 1)}
    counts = [texts.count(text) for text in expected]
    assert chisquare(counts, 4000 * np.array([*expected.values()])).pvalue > 0.001


def test_a_seed_gives_the_same_tokens_and_another_seed_others(random_model):
    model = random_model(0, VOCAB_SIZE)

    same = [generate(model, barred=(STOP,), seed=5) for _ in range(2)]

    assert same[0] == same[1]
    assert same[0] != generate(model, barred=(STOP,), seed=6)


def test_sampling_takes_randomness_from_its_generator_alone(random_model):
    model = random_model(0, VOCAB_SIZE)

    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = generate(model, barred=(STOP,))

    assert torch.get_rng_state().equal(before)
    torch.manual_seed(2)
    assert generate(model, barred=(STOP,)) == first


def test_tokens_come_one_at_a_time(random_model):
    model = random_model(0, VOCAB_SIZE)
    tokens = generate_tokens(
        model,
        (START, 0),
        DecodingConfig(max_new_tokens=1000),
        barred=(STOP,),
        stop_id=STOP,
        generator=seeded(),
    )

    assert len(list(islice(tokens, 3))) == 3
    assert model.num_steps == 4  # two of the prompt, one for each token before the last


def test_the_whole_prompt_is_read(random_model):
    model = random_model(0, VOCAB_SIZE)

    logits, state = read_prompt(model, (START, 2, 0), rows=2)

    assert logits.equal(model.logits_after((START, 2, 0)).expand(2, VOCAB_SIZE))
    assert state[0][0].tolist() == [[START, 2, 0]] * 2


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_language_model_writes_what_its_logits_over_the_whole_text_say(cell, prefix_model):
    torch.manual_seed(0)
    sizes = {"embedding_size": 8, "hidden_size": 8, "num_layers": 2}
    model = LanguageModel(ModelConfig(vocab_size=VOCAB_SIZE, cell=cell, **sizes)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)

    def logits_after(prefix):
        return model(torch.tensor([prefix]), model.initial_state(1))[0][0, -1]

    for greedy in (True, False):
        text = generate(model, barred=(START, STOP), greedy=greedy)
        assert text == generate(prefix_model(logits_after), barred=(START, STOP), greedy=greedy)
