"""Packed for C: the model's own numbers, and the same bits in any batch and with any threads.

Where nothing was compiled the same laws hold of what steps instead, up to the rounding of float64.
"""

import math
import os
import random
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import pytest
import torch

import charlm
from charlm.cells import concat_states, map_state, select_state
from charlm.kernels import KINDS, WIDTH, load_kernel
from charlm.model import LanguageModel, ModelConfig, fastest_steps
from charlm.model.packed import PANEL, pack, units_per_panel

CELLS = [kind for kind in KINDS if kind != "head"]  # those that step.c knows
SIZES = [1, 7, 16, 17, 40, 65, 100]


def random_model(cell="lstm", seed=0, **shape):
    """A model whose every weight matters, biases too."""
    torch.manual_seed(seed)
    shape = {"vocab_size": 23, "embedding_size": 40, "hidden_size": 40} | shape
    model = LanguageModel(ModelConfig(cell=cell, **shape)).eval()
    with torch.no_grad():
        model.body.embedding.weight.normal_(0, 0.5)
        model.head.projection.bias.normal_(0, 0.5)
    return model


def adaptive_model(cutoffs=(60, 150), **shape):
    model = random_model(vocab_size=300, softmax="adaptive", softmax_cutoffs=cutoffs, **shape)
    with torch.no_grad():
        model.head.cluster_projection.weight.normal_(0, 0.5)
        model.head.cluster_projection.bias.normal_(0, 0.5)
    return model


def run(steps, tokens, state=None):
    """Logits (time, batch, vocab_size) of stepping over tokens (time, batch); the last state."""
    state = steps.initial_state(tokens.shape[1]) if state is None else state
    logits = []
    with torch.inference_mode():
        for column in tokens:
            after, state = steps.step(column, state)
            logits.append(after)
    return torch.stack(logits), state


def tensors_of(state):
    return [tensor for layer in state for tensor in layer]


def assert_same(actual, expected):
    """To the last bit where the step is compiled."""
    tolerance = 1e-5 if load_kernel() is None else 0
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("table", [True, False])
@pytest.mark.parametrize("hidden_size", SIZES)
@pytest.mark.parametrize("cell", CELLS)
def test_steps_equal_those_of_the_model(cell, hidden_size, table, monkeypatch):
    if not table:
        monkeypatch.setattr("charlm.model.packed.MAX_TABLE_BYTES", 0)
    for num_layers, tied in [(1, True), (2, False), (3, True), (1, False)]:
        draw = random.Random(f"{cell} {hidden_size} {num_layers} {tied}")
        vocab_size, batch_size = draw.randint(4, 300), draw.randint(1, 14)
        model = random_model(
            cell,
            vocab_size=vocab_size,
            embedding_size=hidden_size if tied else draw.choice(SIZES),
            hidden_size=hidden_size,
            num_layers=num_layers,
            tie_embeddings=tied,
        )
        tokens = torch.randint(vocab_size, (22, batch_size))

        logits, _ = run(fastest_steps(model, 1), tokens)

        expected, _ = run(model, tokens)
        assert logits.shape == (22, batch_size, vocab_size)
        assert logits.dtype == torch.float32
        torch.testing.assert_close(logits, expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("vocab_size", [4, 63, 64, 65, 128, 300])
def test_the_head_has_any_number_of_outputs(vocab_size):
    model = random_model("gru", vocab_size=vocab_size)
    tokens = torch.arange(vocab_size).repeat(2, 1)

    logits, _ = run(fastest_steps(model, 1), tokens)

    torch.testing.assert_close(logits, run(model, tokens)[0], rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("cutoffs", [(1,), (60, 61), (5, 20, 296)])
@pytest.mark.parametrize("tied", [True, False])
def test_steps_with_an_adaptive_softmax_equal_those_of_the_model(cutoffs, tied):
    model = adaptive_model(cutoffs, tie_embeddings=tied)
    tokens = torch.randint(300, (22, 9))

    logits, _ = run(fastest_steps(model, 1), tokens)

    assert logits.shape == (22, 9, 300)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, run(model, tokens)[0], rtol=1e-4, atol=2e-5)
    torch.testing.assert_close(logits.exp().sum(-1), torch.ones(22, 9))


@pytest.mark.parametrize("cell", CELLS)
def test_the_table_changes_nothing(cell, monkeypatch):
    model, tokens = random_model(cell, num_layers=2), torch.randint(23, (20, 5))
    with_table, _ = run(fastest_steps(model, 1), tokens)
    monkeypatch.setattr("charlm.model.packed.MAX_TABLE_BYTES", 0)

    without, _ = run(fastest_steps(model, 1), tokens)

    torch.testing.assert_close(without, with_table)


def test_a_table_is_kept_up_to_its_greatest_size(monkeypatch):
    model, tokens = random_model("lstm"), torch.randint(23, (5, 3))
    size = 4 * 23 * 3 * PANEL  # 40 units are 3 panels

    for most in (size, size - 1):
        monkeypatch.setattr("charlm.model.packed.MAX_TABLE_BYTES", most)
        steps = fastest_steps(model, 1)
        if load_kernel() is not None:
            assert bool(steps._model.table) == (most == size)
        torch.testing.assert_close(run(steps, tokens)[0], run(model, tokens)[0])


@pytest.mark.parametrize("cell", CELLS)
def test_a_row_is_the_same_in_any_batch_and_anywhere_in_it(cell):
    steps = fastest_steps(random_model(cell, num_layers=2, hidden_size=40), 1)
    tokens = torch.randint(23, (8, 14))
    together, last = run(steps, tokens)

    for size in range(1, 15):
        rows = torch.randperm(14)[:size]
        own, own_last = run(steps, tokens[:, rows])
        assert_same(own, together[:, rows])
        assert_same(own_last, select_state(last, rows))


@pytest.mark.parametrize("num_threads", [1, 2])
def test_a_row_with_an_adaptive_softmax_is_the_same_in_any_batch(num_threads):
    steps, tokens = fastest_steps(adaptive_model(), 1), torch.randint(300, (8, 14))
    together, _ = run(steps, tokens)

    steps = fastest_steps(adaptive_model(), num_threads)
    for size in range(1, 15):
        rows = torch.randperm(14)[:size]
        assert_same(run(steps, tokens[:, rows])[0], together[:, rows])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("table", [True, False])
def test_the_number_of_threads_changes_nothing(cell, table, monkeypatch):
    if not table:
        monkeypatch.setattr("charlm.model.packed.MAX_TABLE_BYTES", 0)
    model = random_model(cell, vocab_size=300, embedding_size=256, hidden_size=256, num_layers=2)
    for batch_size in (1, 7):
        tokens = torch.randint(300, (10, batch_size))
        alone, last = run(fastest_steps(model, 1), tokens)

        for num_threads in (2, 3):
            steps = fastest_steps(model, num_threads)
            for _ in range(2):  # and again
                logits, state = run(steps, tokens)
                assert_same(logits, alone)
                assert_same(state, last)


def test_the_state_that_comes_in_is_not_modified():
    steps = fastest_steps(random_model("lstm", hidden_size=256, embedding_size=256), 2)
    _, state = run(steps, torch.randint(23, (3, 7)))
    kept = map_state(torch.clone, state)

    first, _ = run(steps, torch.randint(23, (2, 7)), state)

    assert all(map(torch.equal, tensors_of(state), tensors_of(kept)))
    assert first.isfinite().all()


def test_one_state_may_go_on_in_two_ways():
    steps = fastest_steps(random_model("gru"), 1)
    _, state = run(steps, torch.randint(23, (3, 4)))
    one, other = torch.randint(23, (2, 5, 4))

    first, _ = run(steps, one, state)
    run(steps, other, state)
    again, _ = run(steps, one, state)

    assert again.equal(first)


def test_logits_of_a_step_stay_when_more_are_taken():
    steps = fastest_steps(random_model(), 1)
    tokens = torch.randint(23, (2, 4))
    first, state = steps.step(tokens[0], steps.initial_state(4))
    kept = first.clone()

    steps.step(tokens[1], state)

    assert first.equal(kept)


def test_states_are_selected_and_joined_row_by_row():
    steps = fastest_steps(random_model("lstm", num_layers=2), 1)
    tokens = torch.randint(23, (6, 5))
    whole, _ = run(steps, tokens)
    _, state = run(steps, tokens[:3])

    order = torch.tensor([4, 0, 2])
    joined = concat_states([select_state(state, order), select_state(state, torch.tensor([1]))])
    logits, _ = run(steps, tokens[3:, [4, 0, 2, 1]], joined)

    assert_same(logits, whole[3:, [4, 0, 2, 1]])


def test_the_initial_state_is_that_of_no_token():
    model = random_model("lstm", num_layers=2)
    steps = fastest_steps(model, 1)

    state = steps.initial_state(3)

    assert not any(tensor.any() for tensor in tensors_of(state))
    assert all(len(tensor) == 3 for tensor in tensors_of(state))


def test_tokens_may_be_a_column_of_a_table():
    model = random_model()
    steps = fastest_steps(model, 1)
    tokens = torch.randint(23, (5, 8))

    for column in range(8):
        logits, _ = steps.step(tokens[:, column], steps.initial_state(5))
        expected, _ = model.step(tokens[:, column], model.initial_state(5))
        torch.testing.assert_close(logits, expected)


def test_weights_are_copied_as_they_are_when_packed():
    model = random_model(tie_embeddings=False)
    steps, twin = fastest_steps(model, 1), deepcopy(model)
    tokens = torch.randint(23, (4, 3))

    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()

    torch.testing.assert_close(run(steps, tokens)[0], run(twin, tokens)[0])


# -- extremes ---------------------------------------------------------------------------------

ACTIVATIONS = [0.0, 1e-6, 1e-3, 0.1, 0.5, 1.0, 3.0, 8.0, 10.0, 20.0, 43.0, 44.0, 60.0, 86.0, 87.0]
ACTIVATIONS += [87.5, 88.0, 88.5, 89.0, 100.0, 1e3, 1e6, 1e20, 1e38, 3e38]
ACTIVATIONS = [sign * x for x in ACTIVATIONS for sign in (1, -1)]


def model_of_one_unit(cell, weight_ih, bias_ih):
    """Token t goes in as ACTIVATIONS[t]; the unit's output comes out as every logit."""
    size = len(ACTIVATIONS)
    shape = {"vocab_size": size, "embedding_size": 1, "hidden_size": 1}
    model = random_model(cell, tie_embeddings=False, **shape)
    fused = model.body.stack.recurrent_layers()[0].cell
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.body.embedding.weight.copy_(torch.tensor(ACTIVATIONS)[:, None])
        fused.weight_ih.copy_(torch.tensor(weight_ih)[:, None])
        fused.bias_ih.copy_(torch.tensor(bias_ih))
        model.head.projection.weight.fill_(1.0)
    return model


def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


@pytest.mark.parametrize(
    ("cell", "weight_ih", "bias_ih", "function"),
    [
        ("rnn", [1.0], [0.0], math.tanh),
        ("rnn-relu", [1.0], [0.0], lambda x: max(x, 0.0)),
        # Open gates are 100, closed ones -100; what the activation goes to, is 0.
        ("lstm", [1.0, 0, 0, 0], [0, 0, 100.0, 100.0], lambda x: math.tanh(sigmoid(x))),
        ("lstm", [0, 0, 1.0, 0], [100.0, 0, 0, 100.0], lambda x: math.tanh(math.tanh(x))),
        ("lstm", [0, 0, 0, 1.0], [100.0, 0, 100.0, 0], lambda x: sigmoid(x) * math.tanh(1)),
        ("gru", [0, 1.0, 0], [0, 0, 100.0], lambda x: sigmoid(-x)),
        ("gru", [0, 0, 1.0], [0, -100.0, 0], math.tanh),
    ],
)
def test_gates_are_right_however_far_they_are_driven(cell, weight_ih, bias_ih, function):
    steps = fastest_steps(model_of_one_unit(cell, weight_ih, bias_ih), 1)
    tokens = torch.arange(len(ACTIVATIONS))

    logits, _ = steps.step(tokens, steps.initial_state(len(tokens)))

    values = torch.tensor(ACTIVATIONS).tolist()  # as float32 has them
    expected = torch.tensor([function(x) for x in values], dtype=torch.float64)
    assert logits.isfinite().all()
    torch.testing.assert_close(logits[:, 0].double(), expected, rtol=1e-6, atol=2e-7)


@pytest.mark.parametrize("cell", CELLS)
def test_weights_in_the_thousands_give_what_float64_gives(cell):
    model = random_model(cell, tie_embeddings=False)
    fused = model.body.stack.recurrent_layers()[0].cell
    with torch.no_grad():
        # Whole numbers: sums are exact, so that no rounding decides which way a gate falls.
        for weight in (fused.weight_ih, fused.bias_ih):
            weight.copy_(1000 * torch.randint(-3, 4, weight.shape))
        fused.bias_hh.zero_()
        model.body.embedding.weight.copy_(torch.randint(-2, 3, (23, 40)))
    tokens = torch.randint(23, (10, 9))

    logits, _ = run(fastest_steps(model, 1), tokens)

    expected, _ = run(deepcopy(model).double(), tokens)
    assert logits.isfinite().all()
    scale = max(1.0, float(expected.abs().max()))
    torch.testing.assert_close(logits / scale, expected / scale, rtol=1e-5, atol=1e-5)


# -- packing ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("gates", "units"), [(1, 64), (3, 16), (4, 16)])
@pytest.mark.parametrize("size", [1, 16, 17, 64, 65, 100])
def test_packing_puts_each_weight_in_its_panel_and_lane(gates, units, size):
    weight = torch.randn(gates * size, 5)

    panels = pack(weight, gates, units)

    assert panels.is_contiguous()
    assert panels.shape == (math.ceil(size / units), 5, gates, units)
    for unit in range(len(panels) * units):
        for gate in range(gates):
            lane = panels[unit // units, :, gate, unit % units]
            expected = weight[gate * size + unit] if unit < size else torch.zeros(5)
            assert lane.equal(expected)


def test_a_panel_holds_four_vectors_of_units_or_of_gates():
    assert {cell: units_per_panel(cell) for cell in CELLS} == {
        "lstm": WIDTH,
        "gru": WIDTH,
        "rnn": 4 * WIDTH,
        "rnn-relu": 4 * WIDTH,
    }


# -- threads ----------------------------------------------------------------------------------

PRELUDE = """
import os, sys, time
from pathlib import Path
import torch
from charlm.kernels import load_kernel
from charlm.model import LanguageModel, ModelConfig, fastest_steps

config = ModelConfig(vocab_size=30, embedding_size=128, hidden_size=128, num_layers=2)
model, tokens = LanguageModel(config).eval(), torch.arange(3)
torch.set_grad_enabled(False)
tasks = Path("/proc/self/task")

def write(steps, length=30):
    state = steps.initial_state(3)
    for _ in range(length):
        logits, state = steps.step(tokens, state)
    return logits
"""


def run_script(body):
    """What a process of its own prints. Threads that wait for each other for ever end it."""
    environment = {**os.environ, "PYTHONPATH": str(Path(charlm.__file__).parents[1])}
    script = [sys.executable, "-W", "ignore", "-c", PRELUDE + body]
    done = subprocess.run(script, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_threads_never_wait_for_ever_and_end_with_their_model():
    said = run_script("""
expected, before = write(fastest_steps(model, 1)), len(list(tasks.glob("*")))
for num_threads in (2, 3, 4):
    steps = fastest_steps(model, num_threads)
    assert write(steps, 1500).isfinite().all()
    for _ in range(5):
        time.sleep(0.02)  # longer than threads look for work before they sleep
        assert torch.allclose(write(steps), expected, atol=1e-6)
    for _ in range(100):
        assert torch.allclose(write(fastest_steps(model, num_threads), 2), write(steps, 2))
    several = [fastest_steps(model, num_threads) for _ in range(4)]
    for _ in range(5):
        for steps in several:
            assert torch.allclose(write(steps, 3), write(several[0], 3))
    del steps, several
print(load_kernel() is None or len(list(tasks.glob("*"))) - before < 3)  # torch keeps its own
""")

    assert said == ["True"]


def test_a_forked_child_goes_on_alone_and_ends():
    said = run_script("""
steps = fastest_steps(model, 1 if load_kernel() is None else 3)  # torch's threads cannot fork
expected = write(steps)
time.sleep(0.05)
if hasattr(os, "fork"):
    child = os.fork()
    if child == 0:
        same = torch.allclose(write(steps), expected, atol=1e-6)
        del steps
        sys.exit(0 if same else 1)
    _, status = os.waitpid(child, 0)
    assert status == 0
print(torch.allclose(write(steps), expected, atol=1e-6))
""")

    assert said == ["True"]


@pytest.mark.parametrize("token", [-1, 23, 10**12])
def test_a_token_outside_the_vocabulary_is_an_error(token):
    steps = fastest_steps(random_model(), 1)

    with pytest.raises(IndexError), torch.inference_mode():
        steps.step(torch.tensor([3, token]), steps.initial_state(2))


@pytest.mark.parametrize("token", [-1, 300, 301, 302, 10**12])
def test_a_cluster_is_not_a_token(token):
    steps = fastest_steps(adaptive_model(), 1)

    with pytest.raises(IndexError), torch.inference_mode():
        steps.step(torch.tensor([3, token]), steps.initial_state(2))
