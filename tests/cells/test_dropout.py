"""Dropout of features, of whole embeddings and of single recurrent weights."""

import pytest
import torch

from charlm.cells import (
    EmbeddingDropout,
    LockedDropout,
    WeightDropout,
    embedding_dropout,
    locked_dropout,
    weight_dropout,
)
from charlm.cells.dropout import draw_mask

KINDS = [LockedDropout, EmbeddingDropout, WeightDropout]
SHAPES = {LockedDropout: (64, 3, 64), EmbeddingDropout: (4096, 3), WeightDropout: (64, 64)}
FUNCTIONS = {
    LockedDropout: locked_dropout,
    EmbeddingDropout: embedding_dropout,
    WeightDropout: weight_dropout,
}
PLACES = {  # of each mask, what is dropped by itself
    LockedDropout: lambda x: x[:, 0].flatten(),
    EmbeddingDropout: lambda x: x[:, 0],
    WeightDropout: lambda x: x.flatten(),
}


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def kind(request):
    torch.manual_seed(0)
    return request.param


def test_one_mask_holds_for_all_time_steps():
    torch.manual_seed(0)

    dropped = locked_dropout(torch.ones(4, 9, 16), 0.5)

    assert dropped.equal(dropped[:, :1].expand(4, 9, 16))


def test_masks_differ_between_rows_and_between_features():
    torch.manual_seed(0)

    mask = locked_dropout(torch.ones(4, 1, 16), 0.5)[:, 0]

    assert len({tuple(row) for row in mask.tolist()}) == 4
    assert len({tuple(column) for column in mask.T.tolist()}) > 8
    assert all(0 < int((row > 0).sum()) < 16 for row in mask)


def test_an_embedding_is_dropped_whole_or_not_at_all():
    torch.manual_seed(0)
    vectors = torch.randn(50, 8)

    stays = embedding_dropout(vectors, 0.5) != 0

    assert stays.equal(stays[:, :1].expand(50, 8))
    assert 0 < int(stays[:, 0].sum()) < 50


def test_weights_are_dropped_one_by_one():
    torch.manual_seed(0)

    stays = weight_dropout(torch.ones(40, 10), 0.5) != 0

    assert len({tuple(row) for row in stays.tolist()}) > 30
    assert len({tuple(column) for column in stays.T.tolist()}) == 10


def test_masks_differ_between_calls(kind):
    x = torch.ones(SHAPES[kind])

    assert not FUNCTIONS[kind](x, 0.5).equal(FUNCTIONS[kind](x, 0.5))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.75])
def test_what_stays_is_scaled_by_one_over_the_probability_of_staying(kind, p):
    x = torch.randn(SHAPES[kind])

    dropped = FUNCTIONS[kind](x, p)

    stays = dropped != 0
    torch.testing.assert_close(dropped[stays], x[stays] / (1 - p))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.75])
def test_the_expectation_is_the_input_and_the_share_that_is_dropped_is_p(kind, p):
    drawn = PLACES[kind](FUNCTIONS[kind](torch.ones(SHAPES[kind]), p))

    spread = (p / (1 - p) / len(drawn)) ** 0.5
    assert len(drawn) == 4096
    assert abs(float(drawn.mean()) - 1) < 4 * spread
    assert abs(float((drawn == 0).float().mean()) - p) < 4 * spread * (1 - p)


@pytest.mark.parametrize("p", [0.25, 0.5])
def test_gradients_pass_where_something_stays_and_are_scaled_alike(kind, p):
    x, weight = torch.randn(SHAPES[kind], requires_grad=True), torch.randn(SHAPES[kind])

    dropped = FUNCTIONS[kind](x, p)
    (dropped * weight).sum().backward()

    torch.testing.assert_close(x.grad, weight * (dropped != 0) / (1 - p))


def test_the_input_is_not_modified(kind):
    x = torch.ones(SHAPES[kind])

    FUNCTIONS[kind](x, 0.5)

    assert x.equal(torch.ones(SHAPES[kind]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_what_comes_out_is_of_the_type_that_went_in(kind, dtype):
    assert FUNCTIONS[kind](torch.ones(SHAPES[kind], dtype=dtype), 0.5).dtype == dtype


def test_a_module_drops_while_training_and_changes_nothing_in_evaluation(kind):
    x = torch.randn(SHAPES[kind])
    dropout = kind(0.5)

    torch.manual_seed(1)
    trained, evaluated = dropout.train()(x), dropout.eval()(x)
    torch.manual_seed(1)

    assert trained.equal(FUNCTIONS[kind](x, 0.5))
    assert evaluated is x


def test_a_module_with_nothing_to_drop_changes_nothing_and_draws_nothing(kind):
    x, before = torch.randn(SHAPES[kind]), torch.get_rng_state()

    assert kind(0.0).train()(x) is x
    assert torch.get_rng_state().equal(before)


@pytest.mark.parametrize(
    ("p", "training", "active"), [(0.5, True, True), (0.5, False, False), (0.0, True, False)]
)
def test_a_module_knows_whether_it_drops(kind, p, training, active):
    assert kind(p).train(training).is_active == active


def test_a_module_shows_its_probability(kind):
    assert repr(kind(0.25)) == f"{kind.__name__}(p=0.25)"


@pytest.mark.parametrize("p", [0.1, 0.3, 0.5, 0.97])
def test_places_that_are_drawn_together_are_dropped_apart(p):
    torch.manual_seed(0)

    lanes = draw_mask((50_000, 4), p, torch.device("cpu")).double()

    spread = (p * (1 - p) / 50_000) ** 0.5
    assert (lanes.mean(0) - (1 - p)).abs().max() < 4 * spread
    correlations = torch.corrcoef(lanes.T) - torch.eye(4)
    assert correlations.abs().max() < 0.02
    assert torch.corrcoef(torch.stack([lanes[1:, 0], lanes[:-1, 0]]))[0, 1].abs() < 0.02


@pytest.mark.parametrize("shape", [(1,), (3, 5), (2, 1, 7), (0,), (4, 4)])
def test_a_mask_has_any_shape(shape):
    mask = draw_mask(shape, 0.5, torch.device("cpu"))

    assert mask.shape == shape and mask.dtype == torch.bool


def test_the_ends_of_the_range_can_be_drawn():
    cpu = torch.device("cpu")

    assert draw_mask((1000,), 0.0, cpu).all()
    assert draw_mask((1000,), 0.9999999, cpu).sum() < 5
