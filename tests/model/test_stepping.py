"""What steps where: the device's own model, packed weights, or float64."""

import pytest
import torch

from charlm.cells import CELLS
from charlm.kernels import load_kernel
from charlm.model import LanguageModel, ModelConfig, fastest_steps
from charlm.model.packed import PackedAdaptiveModel, PackedModel
from charlm.model.stepping import DoubleModel

ADAPTIVE = {"softmax": "adaptive", "softmax_cutoffs": (2, 5)}


def random_model(cell="lstm", **shape):
    torch.manual_seed(0)
    shape = {"vocab_size": 11, "embedding_size": 24, "hidden_size": 24} | shape
    if cell in ("jordan", "elman-jordan"):  # what goes with no other shape
        shape |= {"num_layers": 1, "softmax": "full", "softmax_cutoffs": ()}
    return LanguageModel(ModelConfig(cell=cell, dropout=0.5, **shape)).eval()


def run(steps, tokens):
    """Logits (time, batch, vocab_size) of stepping over tokens (time, batch)."""
    state, logits = steps.initial_state(tokens.shape[1]), []
    with torch.inference_mode():
        for column in tokens:
            after, state = steps.step(column, state)
            logits.append(after)
    return torch.stack(logits)


@pytest.fixture(params=["compiled", "not compiled"])
def steps_of(request, monkeypatch):
    """`fastest_steps`, with the kernel where there is one, and without."""
    if request.param == "not compiled":
        monkeypatch.setattr("charlm.model.stepping.load_kernel", lambda: None)
    return fastest_steps


@pytest.mark.parametrize("head", [{}, ADAPTIVE])
@pytest.mark.parametrize("tie_embeddings", [True, False])
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_in_float64_a_model_says_the_same(cell, num_layers, tie_embeddings, head):
    model = random_model(cell, num_layers=num_layers, tie_embeddings=tie_embeddings, **head)
    tokens = torch.randint(11, (25, 4))

    logits = run(DoubleModel(model, 1), tokens)

    assert logits.shape == (25, 4, 11)
    torch.testing.assert_close(logits, run(model, tokens))


@pytest.mark.parametrize("cell", CELLS)
def test_in_float64_a_row_hardly_feels_its_batch(cell):
    steps, tokens = DoubleModel(random_model(cell, num_layers=2), 1), torch.randint(11, (10, 14))
    state = steps.initial_state(14)
    for column in tokens:
        _, state = steps.step(column, state)

    for row in range(14):
        own_state = steps.initial_state(1)
        for token in tokens[:, row]:
            _, own_state = steps.step(token[None], own_state)
        for layer, own_layer in zip(state, own_state, strict=True):
            for tensor, own in zip(layer, own_layer, strict=True):
                assert tensor.dtype == torch.float64
                torch.testing.assert_close(own[0], tensor[row], rtol=1e-12, atol=1e-12)


def test_float64_is_a_copy_that_leaves_the_model_as_it_is():
    model = random_model().train()

    DoubleModel(model, 1)

    assert model.training
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("num_threads", [1, 2])
def test_float64_has_its_own_number_of_threads_while_it_steps(num_threads, monkeypatch):
    steps, before, seen = DoubleModel(random_model(), num_threads), torch.get_num_threads(), []
    step = LanguageModel.step

    def watched(self, tokens, state):
        seen.append(torch.get_num_threads())
        return step(self, tokens, state)

    monkeypatch.setattr(LanguageModel, "step", watched)
    steps.step(torch.tensor([1]), steps.initial_state(1))

    assert (seen, torch.get_num_threads()) == ([num_threads], before)


@pytest.mark.parametrize(("head", "packed"), [({}, PackedModel), (ADAPTIVE, PackedAdaptiveModel)])
def test_a_cpu_steps_packed_where_the_kernel_was_compiled_and_in_float64_elsewhere(
    head, packed, monkeypatch
):
    kind = DoubleModel if load_kernel() is None else packed
    assert type(fastest_steps(random_model(**head), 1)) is kind

    monkeypatch.setattr("charlm.model.stepping.load_kernel", lambda: None)
    assert type(fastest_steps(random_model(**head), 1)) is DoubleModel


def test_cells_that_the_kernel_does_not_know_step_in_float64():
    model, tokens = random_model(num_layers=2, mogrifier_steps=2), torch.randint(11, (7, 3))

    steps = fastest_steps(model, 1)

    assert type(steps) is DoubleModel
    torch.testing.assert_close(run(steps, tokens), run(model, tokens))


def test_any_other_device_steps_as_it_is(steps_of):
    model = random_model().to("meta")

    assert steps_of(model, 1) is model


@pytest.mark.parametrize("head", [{}, ADAPTIVE])
def test_what_is_learnt_later_is_not_in_the_steps(steps_of, head):
    model, tokens = random_model(**head), torch.randint(11, (5, 3))
    steps = steps_of(model, 1)
    before = run(model, tokens)

    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(-2)

    torch.testing.assert_close(run(steps, tokens), before)


def test_steps_drop_nothing_while_the_model_trains(steps_of):
    model, tokens = random_model(num_layers=2), torch.randint(11, (5, 3))
    expected = run(model, tokens)

    steps = steps_of(model.train(), 1)

    torch.testing.assert_close(run(steps, tokens), expected)
    assert model.training


@pytest.mark.parametrize("hidden_size", [1, 16, 17, 70])
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_every_step_shows_the_vectors_that_its_logits_come_from(
    steps_of, cell, num_layers, hidden_size
):
    model = random_model(cell, num_layers=num_layers, hidden_size=hidden_size, tie_embeddings=False)
    tokens = torch.randint(11, (8, 3))
    expected, _ = model.body(tokens.T, model.initial_state(3))  # (batch, time, hidden_size)

    for steps in (model, DoubleModel(model, 1), steps_of(model, 1)):
        state = steps.initial_state(3)
        assert steps.hidden(state).shape == (3, hidden_size)
        assert not steps.hidden(state).any()
        for time, column in enumerate(tokens):
            logits, state = steps.step(column, state)
            hidden = steps.hidden(state).float()
            torch.testing.assert_close(hidden, expected[:, time], rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(model.head(hidden), logits.float(), rtol=1e-4, atol=1e-5)
