"""The language model: a body, a head, and a state that comes in and goes out."""

import numpy as np
import pytest
import torch

from charlm.cells import CELLS, Lookup, RecurrentLayer
from charlm.kernels import lstm_speed
from charlm.model import LanguageModel, ModelConfig
from charlm.model.body import DISTINCT
from charlm.model.cross_entropy import IGNORED

OWN_WEIGHTS = {  # of a cell of 6 units with 11 words, besides those of its gates
    "elman-jordan": 6 * 11,
    "leaky-learned": 6,
    "lstm-peephole": 3 * 6,
}
SINGLE = ("jordan", "elman-jordan")  # cells that have no layer above them
needs_kernel = pytest.mark.skipif(not lstm_speed(), reason="no compiled kernel for this processor")
DROPOUTS = ["dropout", "hidden_dropout", "input_dropout", "embedding_dropout", "weight_dropout"]


def small_model(cell="lstm", *, num_layers=2, dropout=0.0, **settings):
    torch.manual_seed(0)
    sizes = {"vocab_size": 11, "embedding_size": 6, "hidden_size": 6} | settings
    num_layers = 1 if cell in SINGLE else num_layers
    return LanguageModel(
        ModelConfig(cell=cell, num_layers=num_layers, dropout=dropout, **sizes)
    ).eval()


def random_state(model, batch_size):
    state = model.initial_state(batch_size)
    return tuple(tuple(torch.randn_like(tensor) for tensor in layer) for layer in state)


@pytest.mark.parametrize("tie_embeddings", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_stepping_over_tokens_equals_a_window(cell, tie_embeddings):
    model = small_model(cell, tie_embeddings=tie_embeddings, dropout=0.5)
    tokens, state = torch.randint(11, (3, 8)), random_state(model, 3)

    logits, last = model(tokens, state)

    for t in range(8):
        stepped, state = model.step(tokens[:, t], state)
        assert stepped.shape == (3, 11)
        torch.testing.assert_close(stepped, logits[:, t])
    torch.testing.assert_close(state, last)


@pytest.mark.parametrize("cell", CELLS)
def test_a_window_in_two_halves_equals_the_whole(cell):
    model = small_model(cell)
    tokens, state = torch.randint(11, (3, 8)), random_state(model, 3)

    whole, last = model(tokens, state)
    first, between = model(tokens[:, :5], state)
    second, last_of_halves = model(tokens[:, 5:], between)

    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(last_of_halves, last)


@pytest.mark.parametrize("cell", CELLS)
def test_logits_do_not_depend_on_the_other_rows_of_the_batch(cell):
    model = small_model(cell)
    tokens, state = torch.randint(11, (5, 4)), random_state(model, 5)

    together, _ = model(tokens, state)

    for row in range(5):
        own = tuple(tuple(tensor[row : row + 1] for tensor in layer) for layer in state)
        torch.testing.assert_close(model(tokens[row : row + 1], own)[0], together[row : row + 1])


def test_logits_depend_on_no_token_that_comes_later():
    model = small_model()
    tokens = torch.randint(11, (1, 8))
    changed = tokens.clone()
    changed[0, 5] = (tokens[0, 5] + 1) % 11

    logits, _ = model(tokens, model.initial_state(1))
    logits_of_changed, _ = model(changed, model.initial_state(1))

    assert logits[:, :5].equal(logits_of_changed[:, :5])
    assert not logits[:, 5:].isclose(logits_of_changed[:, 5:]).all(dim=-1).any()


def test_the_model_keeps_no_state():
    model = small_model()
    tokens, state = torch.randint(11, (2, 4)), random_state(model, 2)

    first, _ = model(tokens, state)
    second, _ = model(tokens, state)

    assert first.equal(second)


def test_tied_weights_are_one_tensor_counted_once():
    tied, untied = small_model(tie_embeddings=True), small_model(tie_embeddings=False)

    assert tied.head.projection.weight is tied.body.embedding.weight
    assert untied.head.projection.weight is not untied.body.embedding.weight
    num_tied = sum(p.numel() for p in tied.parameters())
    assert num_tied + 11 * 6 == sum(p.numel() for p in untied.parameters())


@pytest.mark.parametrize("tie_embeddings", [True, False])
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_parameters_by_part_follow_the_textbook(cell, num_layers, tie_embeddings):
    vocab_size, embedding_size, hidden_size = 11, 6 if tie_embeddings else 4, 6
    model = small_model(
        cell,
        num_layers=num_layers,
        embedding_size=embedding_size,
        hidden_size=hidden_size,
        tie_embeddings=tie_embeddings,
    )

    parts = model.parameters_by_part()

    expected = {"embedding": vocab_size * embedding_size}
    for layer in range(1 if cell in SINGLE else num_layers):
        input_size = hidden_size if layer else embedding_size
        feeds_back = vocab_size if cell == "jordan" else hidden_size
        gate = (input_size + feeds_back + 2) * hidden_size
        expected[f"layer {layer}"] = CELLS[cell].num_gates * gate + OWN_WEIGHTS.get(cell, 0)
    expected["head"] = vocab_size + (0 if tie_embeddings else vocab_size * hidden_size)
    assert list(parts.items()) == list(expected.items())
    assert sum(parts.values()) == sum(p.numel() for p in model.parameters())


def test_carry_state_begins_with_zeros():
    model = small_model()

    state = model.carry_state(None, np.array([True, True, True]))

    torch.testing.assert_close(state, model.initial_state(3))


def test_carry_state_hands_the_state_on_where_no_row_is_fresh():
    model = small_model()
    state = random_state(model, 3)

    carried = model.carry_state(state, np.array([False, False, False]))

    torch.testing.assert_close(carried, state, rtol=0, atol=0)


@pytest.mark.parametrize("fresh", [[True, False, False], [False, True, True], [True, True, True]])
def test_carry_state_zeroes_the_fresh_rows_and_no_other(fresh):
    model = small_model()
    state = random_state(model, 3)

    carried = model.carry_state(state, np.array(fresh))

    keeps = 1 - torch.tensor(fresh).float()[:, None]
    expected = tuple(tuple(tensor * keeps for tensor in layer) for layer in state)
    torch.testing.assert_close(carried, expected, rtol=0, atol=0)


def test_nats_are_the_surprisal_of_the_targets_under_the_logits():
    model = small_model()
    tokens, state = torch.randint(11, (3, 6)), random_state(model, 3)
    inputs, targets = tokens[:, :-1], tokens[:, 1:].clone()
    targets[1, 2] = IGNORED

    nats, after = model.nats(inputs, targets, state)

    logits, expected_after = model(inputs, state)
    for row, time in np.ndindex(3, 5):
        target = targets[row, time]
        known = target != IGNORED
        expected = -logits[row, time].log_softmax(-1)[target] if known else torch.tensor(0.0)
        torch.testing.assert_close(nats[row, time], expected)
    torch.testing.assert_close(after, expected_after)


def test_the_loss_is_the_mean_of_the_nats():
    model = small_model()
    tokens, state = torch.randint(11, (3, 6)), random_state(model, 3)
    inputs, targets = tokens[:, :-1], tokens[:, 1:].clone()
    targets[1, 2:] = IGNORED

    loss, after = model.loss(inputs, targets, state)

    nats, expected_after = model.nats(inputs, targets, state)
    torch.testing.assert_close(loss, nats.sum() / 12)
    torch.testing.assert_close(after, expected_after)


@pytest.mark.parametrize("tie_embeddings", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_the_loss_reaches_every_weight(cell, tie_embeddings):
    model = small_model(cell, tie_embeddings=tie_embeddings)
    tokens = torch.arange(11)[None]

    loss, _ = model.loss(tokens[:, :-1], tokens[:, 1:], model.initial_state(1))
    loss.backward()

    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_gradients_flow_back_into_the_state_that_came_in():
    model = small_model("gru", num_layers=1)
    state = ((torch.zeros(1, 6, requires_grad=True),),)

    loss, _ = model.loss(torch.tensor([[1, 2]]), torch.tensor([[2, 3]]), state)
    loss.backward()

    assert state[0][0].grad.any()


def test_dropout_works_while_training_only():
    model = small_model(dropout=0.5)
    tokens, state = torch.randint(11, (2, 4)), model.initial_state(2)

    model.train()
    assert not model(tokens, state)[0].equal(model(tokens, state)[0])
    model.eval()
    assert model(tokens, state)[0].equal(model(tokens, state)[0])


def test_embeddings_start_uniform_within_a_tenth():
    weight = small_model(vocab_size=500).body.embedding.weight

    assert weight.abs().max() <= 0.1
    assert weight.min() < -0.099
    assert weight.max() > 0.099


def test_the_device_is_where_the_weights_are():
    assert small_model().device == torch.device("cpu")
    assert small_model().to("meta").device == torch.device("meta")


def test_the_last_layer_may_be_narrower_and_tied_to_the_embedding():
    model = small_model(num_layers=3, hidden_size=8, last_hidden_size=6, tie_embeddings=True)
    tokens, state = torch.randint(11, (3, 4)), random_state(model, 3)

    hidden, after = model.body(tokens, state)
    logits, last = model.step(tokens[:, 0], state)

    assert [layer.hidden_size for layer in model.body.stack.recurrent_layers()] == [8, 8, 6]
    assert hidden.shape == (3, 4, 6) and logits.shape == (3, 11)
    assert model.hidden(after).equal(hidden[:, -1])
    assert model.hidden(last).shape == (3, 6)
    assert model.head.projection.weight is model.body.embedding.weight


@pytest.mark.parametrize(
    "settings",
    [
        {"num_layers": 3, "hidden_size": 8, "last_hidden_size": 6},
        {"num_layers": 2, "hidden_size": 8, "last_hidden_size": 5, "tie_embeddings": False},
        {"num_layers": 2, "mogrifier_steps": 3},
        {"num_layers": 1, "mogrifier_steps": 2, "hidden_size": 9, "tie_embeddings": False},
    ],
    ids=str,
)
def test_parts_of_other_shapes_follow_the_textbook_too(settings):
    model = small_model(**settings)

    parts = model.parameters_by_part()

    config = model.config
    expected, below = {"embedding": 11 * 6}, 6
    for layer, size in enumerate(config.layer_sizes):
        expected[f"layer {layer}"] = 4 * (below * size + size**2 + 2 * size)
        if config.mogrifier_steps:  # its matrices stand beside the cell's own weights
            expected[f"layer {layer}"] += config.mogrifier_steps * below * size
        below = size
    expected["head"] = 11 + (0 if config.tie_embeddings else 11 * below)
    assert parts == expected
    assert sum(parts.values()) == sum(p.numel() for p in model.parameters())


def test_an_adaptive_softmax_has_parts_that_add_up_too():
    model = small_model(vocab_size=50, softmax="adaptive", softmax_cutoffs=(10, 30))

    parts = model.parameters_by_part()

    assert parts["embedding"] == 50 * 6
    assert sum(parts.values()) == sum(p.numel() for p in model.parameters()) > 50 * 6 + 50


def test_a_mogrifier_steps_as_a_window():
    model = small_model(mogrifier_steps=3)
    tokens, state = torch.randint(11, (3, 8)), random_state(model, 3)

    logits, last = model(tokens, state)

    for t in range(8):
        stepped, state = model.step(tokens[:, t], state)
        torch.testing.assert_close(stepped, logits[:, t])
    torch.testing.assert_close(state, last)


def test_a_mogrifier_learns_with_all_its_weights():
    sizes = {"num_layers": 1, "hidden_size": 32, "embedding_size": 32}
    model = small_model(mogrifier_steps=3, weight_dropout=0.2, **sizes).train()
    tokens, losses = torch.arange(11).repeat(2, 2), []

    for _ in range(40):
        loss, _ = model.loss(tokens[:, :-1], tokens[:, 1:], model.initial_state(2))
        losses.append(float(loss.detach()))
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for weight in model.parameters():
                weight -= 5 * weight.grad

    assert all(weight.grad.any() for weight in model.parameters())
    assert losses[-1] < losses[0] - 0.5


def test_activations_are_the_last_output_before_and_after_its_dropout():
    model = small_model(dropout=0.5, hidden_size=32, embedding_size=32)
    tokens, state = torch.randint(11, (3, 5)), random_state(model, 3)

    raw, undropped, last = model.body.activations(tokens, state)
    hidden, expected_last = model.body(tokens, state)
    model.train()
    trained_raw, dropped, _ = model.body.activations(tokens, state)

    assert raw.equal(undropped) and raw.equal(hidden)
    torch.testing.assert_close(last, expected_last, rtol=0, atol=0)
    stays = dropped != 0
    assert 0 < int(stays.sum()) < stays.numel() and trained_raw.all()
    torch.testing.assert_close(dropped[stays], 2 * trained_raw[stays])


def regularised(**settings):
    """A model of two layers in training, and all that is to be seen of one window in it.

    Seen are `vectors`, what the stack was given, `lower`, what the first layer put out, `upper`,
    what the second one was given, `raw`, what it put out, and `hidden`, what the body did.
    """
    nothing = dict.fromkeys(DROPOUTS, 0.0)
    sizes = {"hidden_size": 32, "embedding_size": 32}
    model = small_model(**{**nothing, **sizes, **settings}).train()
    seen, stack = {}, model.body.stack
    lower, upper = stack.recurrent_layers()
    stack.register_forward_pre_hook(lambda m, inputs: seen.update(vectors=inputs[0]))
    lower.register_forward_hook(lambda m, inputs, output: seen.update(lower=output[0]))
    upper.register_forward_pre_hook(lambda m, inputs: seen.update(upper=inputs[0]))
    upper.register_forward_hook(lambda m, inputs, output: seen.update(raw=output[0]))
    model.body.register_forward_hook(lambda m, inputs, output: seen.update(hidden=output[0]))
    return model, seen


def dropped_places(model, seen, tokens):
    """Where the window was not handed on as it was."""
    inputs = seen["vectors"]
    inputs = inputs.dense() if isinstance(inputs, Lookup) else inputs
    pairs = {
        "input": (model.body.embedding.weight[tokens], inputs),
        "between": (seen["lower"], seen["upper"]),
        "output": (seen["raw"], seen["hidden"]),
    }
    return {name for name, (before, after) in pairs.items() if not before.equal(after)}


@pytest.mark.parametrize("autocast", [False, pytest.param(True, marks=needs_kernel)])
@pytest.mark.parametrize(
    ("settings", "places"),
    [
        ({}, set()),
        ({"weight_dropout": 0.5}, set()),
        ({"embedding_dropout": 0.5}, {"input"}),
        ({"input_dropout": 0.5}, {"input"}),
        ({"hidden_dropout": 0.5}, {"between"}),
        ({"dropout": 0.5, "hidden_dropout": 0.0}, {"output"}),
        ({"dropout": 0.5, "hidden_dropout": None}, {"between", "output"}),
        (dict.fromkeys(DROPOUTS, 0.5), {"input", "between", "output"}),
    ],
    ids=lambda value: str(sorted(value) if isinstance(value, set) else value),
)
def test_each_dropout_acts_where_it_should_and_nowhere_else(settings, places, autocast):
    model, seen = regularised(**settings)
    tokens = torch.randint(11, (3, 5))

    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        model(tokens, model.initial_state(3))
        trained = dropped_places(model, seen, tokens)
        model.eval()(tokens, model.initial_state(3))

    assert trained == places
    assert dropped_places(model, seen, tokens) == set()


@pytest.mark.parametrize(
    ("setting", "before", "after"),
    [
        ("input_dropout", None, "vectors"),
        ("hidden_dropout", "lower", "upper"),
        ("dropout", "raw", "hidden"),
    ],
)
def test_features_are_dropped_for_a_whole_window(setting, before, after):
    model, seen = regularised(**{setting: 0.5})
    tokens = torch.randint(11, (3, 5))

    model(tokens, model.initial_state(3))

    whole = seen[before] if before else model.body.embedding.weight[tokens]
    stays = seen[after] != 0
    torch.testing.assert_close(seen[after][stays], 2 * whole[stays])
    assert stays.equal(stays[:, :1].expand_as(stays))
    assert len({tuple(row) for row in stays[:, 0].tolist()}) == 3


def test_recurrent_weights_are_dropped_in_every_layer():
    model, _ = regularised(weight_dropout=0.5)
    shares = []
    for layer in model.body.stack.recurrent_layers():
        layer.weight_dropout.register_forward_hook(
            lambda m, inputs, weight: shares.append(float((weight == 0).float().mean()))
        )

    model(torch.randint(11, (3, 5)), model.initial_state(3))

    assert shares == pytest.approx([0.5, 0.5], abs=0.05)


def test_with_every_dropout_evaluation_is_the_model_without_any():
    dropping, _ = regularised(**dict.fromkeys(DROPOUTS, 0.5))
    plain, _ = regularised()
    plain.load_state_dict(dropping.state_dict())
    tokens, state = torch.randint(11, (3, 5)), random_state(plain, 3)

    evaluated = dropping.eval()(tokens, state)

    torch.testing.assert_close(evaluated, plain.train()(tokens, state), rtol=0, atol=0)


@pytest.fixture(params=[(False, 11), (True, 11), (True, 500)], ids=str)
def dropped_words(request):
    """A model after a window with embedding dropout: vectors as the stack got them, and tokens."""
    autocast, vocab_size = request.param
    if autocast and not lstm_speed():
        pytest.skip("no compiled kernel for this processor")
    model, seen = regularised(embedding_dropout=0.5, vocab_size=vocab_size, tie_embeddings=False)
    tokens = torch.randint(11, (8, 40))
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        model(tokens, model.initial_state(8))
    vectors = seen["vectors"]
    assert isinstance(vectors, Lookup) == autocast
    return model, vectors.dense() if autocast else vectors, tokens


def test_a_dropped_word_is_gone_wherever_it_stands_and_the_others_are_scaled(dropped_words):
    model, vectors, tokens = dropped_words

    gone = {int(token) for token in tokens[~vectors.any(dim=-1)]}

    assert 0 < len(gone) < 11
    for token in range(11):
        expected = torch.zeros(32) if token in gone else 2 * model.body.embedding.weight[token]
        torch.testing.assert_close(
            vectors[tokens == token], expected.expand(int((tokens == token).sum()), 32)
        )


def test_embeddings_get_the_gradients_of_the_words_that_stay_scaled(dropped_words):
    model, vectors, tokens = dropped_words
    weight = torch.randn_like(vectors)

    (gradient,) = torch.autograd.grad((vectors * weight).sum(), model.body.embedding.weight)

    expected = torch.zeros_like(gradient)
    for (row, time), token in np.ndenumerate(tokens.numpy()):
        if vectors[row, time].any():
            expected[token] += 2 * weight[row, time]
    torch.testing.assert_close(gradient, expected)


def test_the_output_matrix_tied_to_the_embedding_is_not_dropped():
    model, seen = regularised(embedding_dropout=0.5)
    tokens = torch.randint(11, (3, 5))

    logits, _ = model(tokens, model.initial_state(3))

    weight, bias = model.body.embedding.weight, model.head.projection.bias
    torch.testing.assert_close(logits, seen["hidden"] @ weight.t() + bias)


def test_a_word_that_is_dropped_changes_nothing_that_comes_after():
    model, seen = regularised(embedding_dropout=0.5, tie_embeddings=False)
    tokens = torch.randint(11, (3, 5))
    torch.manual_seed(3)
    before, _ = model(tokens, model.initial_state(3))
    gone = tokens[~seen["vectors"].any(dim=-1)].unique()

    with torch.no_grad():
        model.body.embedding.weight[gone] += 1
    torch.manual_seed(3)

    assert len(gone) > 0
    assert model(tokens, model.initial_state(3))[0].equal(before)


def window_of(model, tokens, shared, monkeypatch):
    """Logits and all gradients of a window in bfloat16, by our own kernel or by torch's."""
    if not shared:
        monkeypatch.setattr(RecurrentLayer, "shares_inputs", lambda layer: False)
    weight = torch.randn(*tokens.shape, 1500, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(7)
    with torch.autocast("cpu", torch.bfloat16):
        logits, _ = model(tokens, model.initial_state(len(tokens)))
    model.zero_grad()
    (logits * weight[..., : logits.shape[-1]]).sum().backward()
    return logits.detach(), *(parameter.grad.clone() for parameter in model.parameters())


@needs_kernel
@pytest.mark.parametrize("embedding_dropout", [0.0, 0.5])
@pytest.mark.parametrize("vocab_size", [11, 1500])
def test_words_looked_up_give_what_words_spelt_out_do(vocab_size, embedding_dropout, monkeypatch):
    model, seen = regularised(vocab_size=vocab_size, embedding_dropout=embedding_dropout)
    # Both draw their masks in orders of their own, so a word's fate is tied to its embedding here.
    monkeypatch.setattr(
        "charlm.cells.dropout.embedding_dropout", lambda v, p: v * (v[:, :1] > 0) / (1 - p)
    )
    tokens = torch.randint(vocab_size, (6, 20))

    shared = window_of(model, tokens, True, monkeypatch)
    num_vectors = len(seen["vectors"].vectors)
    plain = window_of(model, tokens, False, monkeypatch)

    filled_up = -(-len(tokens.unique()) // DISTINCT) * DISTINCT
    assert num_vectors == (11 if vocab_size == 11 else filled_up)
    assert isinstance(seen["vectors"], torch.Tensor)
    for ours, torchs in zip(shared, plain, strict=True):
        assert (ours - torchs).norm() < 0.02 * torchs.norm()


@needs_kernel
def test_a_small_vocabulary_loses_the_same_words_either_way(monkeypatch):
    model, _ = regularised(embedding_dropout=0.5)
    tokens = torch.randint(11, (6, 20))

    shared = window_of(model, tokens, True, monkeypatch)
    plain = window_of(model, tokens, False, monkeypatch)

    for ours, torchs in zip(shared, plain, strict=True):
        assert (ours - torchs).norm() < 0.02 * torchs.norm()


@needs_kernel
def test_words_are_not_looked_up_where_each_row_drops_features_of_its_own():
    model, seen = regularised(input_dropout=0.5)
    tokens = torch.randint(11, (3, 5))

    with torch.autocast("cpu", torch.bfloat16):
        model(tokens, model.initial_state(3))
        while_training = seen["vectors"]
        model.eval()(tokens, model.initial_state(3))

    assert isinstance(while_training, torch.Tensor)
    assert isinstance(seen["vectors"], Lookup)
