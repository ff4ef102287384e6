"""A length that is foretold: what it costs, what the network sees of it, and when the text ends."""

from itertools import pairwise

import pytest
import torch

from charlm.errors import ConfigError
from charlm.model import LanguageModel, LengthHead, ModelConfig, count_parameters
from charlm.model.length import SCALES, SINGLE, length_bounds

SYMBOLS, VOCAB, SIZE = 5, 8, 6
START, STOP = 5, 6


@pytest.fixture(params=[{}, {"label": "both", "num_labels": 2}], ids=["plain", "labels"])
def model(request):
    torch.manual_seed(0)
    shape = {"vocab_size": VOCAB, "hidden_size": SIZE, "embedding_size": SIZE, "dropout": 0.0}
    model = LanguageModel(ModelConfig(**shape, stop_by="length", **request.param)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter))
    if request.param:
        model = model.under(torch.tensor([0.3, 0.7]))
    return model


def told(length):
    return VOCAB + length


def test_the_lengths_are_a_distribution(model):
    bounds = length_bounds()
    log_probs = model.head.length_log_probs(torch.arange(5000)).detach()

    first = torch.tensor(bounds[:-1])
    widths = torch.tensor(bounds[1:]) - first
    total = (model.head.length_log_probs(first).exp() * widths).sum().detach()
    assert float(total) == pytest.approx(1, rel=1e-5)
    assert bounds[: SINGLE + 2] == [*range(SINGLE + 1), 71]
    shares = model.head.lengths.detach().log_softmax(0)
    torch.testing.assert_close(log_probs[:SINGLE], shares[:SINGLE])
    for place, (begin, end) in enumerate(pairwise(bounds)):
        if end <= 5000:
            torch.testing.assert_close(log_probs[begin:end].exp().sum(), shares[place].exp())


def test_a_text_costs_its_length_and_then_its_words(model):
    """By hand: each step is told how many tokens are left, by columns added to the gates."""
    words = [3, 0, 4]
    inputs = torch.tensor([[told(3), *words]])
    targets = torch.tensor([[*words, STOP]])
    with torch.no_grad():
        nats, _ = model.nats(inputs, targets, model.initial_state(1))
        loss, _ = model.loss(inputs, targets, model.initial_state(1))

        cell = model.body.stack.recurrent_layers()[0].cell
        state, expected = model.initial_state(1)[0], []
        for place, token in enumerate([START, *words]):
            seen = [model.body.embedding.weight[token]]
            if model.config.sees_label:
                seen.append(model.blend)
            seen.append(torch.exp(-(3 - place) / torch.tensor(SCALES)))
            output, state = cell(torch.cat(seen).unsqueeze(0), state)
            scores = model.head.projection(output)[0]
            scores[STOP] = -torch.inf
            if place < 3:
                expected.append(-float(scores.log_softmax(0)[words[place]]))
        expected.append(-float(model.head.length_log_probs(torch.tensor(3))))

    assert nats[0].tolist() == pytest.approx(expected, rel=1e-4)
    assert float(loss) == pytest.approx(sum(expected) / 4, rel=1e-4)


def test_stop_comes_when_nothing_is_left_and_never_before(model):
    with torch.no_grad():
        state = model.initial_state(2)
        stops = []
        for tokens in ([told(1), told(3)], [0, 0], [1, 1], [2, 2]):
            logits, state = model.step(torch.tensor(tokens), state)
            stops.append(logits.log_softmax(-1).exp()[:, STOP].tolist())

    assert stops[0] == pytest.approx([0, 0]) and stops[1] == pytest.approx([1, 0])
    assert stops[3] == pytest.approx([1, 1])


def test_windows_and_steps_carry_the_count_on(model):
    tokens = torch.tensor([[told(4), 0, 1, 2], [told(7), 4, 3, 2]])
    with torch.no_grad():
        whole, _ = model(tokens, model.initial_state(2))
        first, state = model(tokens[:, :2], model.initial_state(2))
        second, _ = model(tokens[:, 2:], state)
        state, steps = model.initial_state(2), []
        for column in tokens.T:
            logits, state = model.step(column, state)
            steps.append(logits)

    torch.testing.assert_close(torch.cat([first, second], 1), whole)
    torch.testing.assert_close(torch.stack(steps, 1), whole)


def test_it_begins_with_the_lengths_of_the_text(model):
    model.head.begin_with([torch.tensor([3] * 60), torch.tensor([80] * 40)])

    found = model.head.length_log_probs(torch.tensor([3, 80, 5])).exp().tolist()
    width = next(b - a for a, b in pairwise(length_bounds()) if a <= 80 < b)
    assert found[0] == pytest.approx(0.6, abs=0.15) and found[1] == pytest.approx(0.4 / width, 0.3)
    assert 0 < found[2] < 0.01


def test_gradients_reach_the_lengths(model):
    inputs, targets = torch.tensor([[told(2), 0, 1]]), torch.tensor([[0, 1, STOP]])
    loss, _ = model.train().loss(inputs, targets, model.initial_state(1))
    loss.backward()

    gradient = model.head.lengths.grad
    shares = model.head.lengths.detach().softmax(0)
    shares[2] -= 1
    torch.testing.assert_close(gradient, shares / 3)


def test_its_weights_are_counted(model):
    counted = {part.part: part.count for part in count_parameters(model.config)}

    assert counted == model.parameters_by_part()
    assert counted["lengths"] == len(length_bounds()) - 1
    assert isinstance(model.head, LengthHead)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"softmax": "adaptive", "softmax_cutoffs": (3,)}, "stop_by length needs a full softmax"),
        ({"cell": "elman-jordan"}, "feeds all outputs back; use --stop-by symbol"),
        ({"stop_by": "never"}, "stop_by must be one of symbol, halt, length, not 'never'"),
    ],
)
def test_what_does_not_go_with_it(settings, message):
    with pytest.raises(ConfigError, match=message):
        ModelConfig(**{"vocab_size": VOCAB, "stop_by": "length", **settings})
