"""Locked dropout: one mask for all time steps."""

import pytest
import torch

from charlm.cells import LockedDropout, locked_dropout


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


def test_masks_differ_between_calls():
    torch.manual_seed(0)
    x = torch.ones(4, 1, 16)

    assert not locked_dropout(x, 0.5).equal(locked_dropout(x, 0.5))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.75])
def test_what_stays_is_scaled_by_one_over_the_probability_of_staying(p):
    torch.manual_seed(0)
    x = torch.randn(8, 3, 32)

    dropped = locked_dropout(x, p)

    stays = dropped != 0
    torch.testing.assert_close(dropped[stays], x[stays] / (1 - p))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.75])
def test_the_expectation_is_the_input(p):
    torch.manual_seed(0)
    num_draws = 200_000

    mean = locked_dropout(torch.ones(num_draws, 1, 1), p).mean()

    standard_error = (p / (1 - p) / num_draws) ** 0.5
    assert abs(float(mean) - 1) < 4 * standard_error


@pytest.mark.parametrize("p", [0.1, 0.5, 0.75])
def test_the_share_that_is_dropped_is_p(p):
    torch.manual_seed(0)

    dropped = locked_dropout(torch.ones(1000, 1, 200), p) == 0

    assert abs(float(dropped.float().mean()) - p) < 4 * (p * (1 - p) / dropped.numel()) ** 0.5


def test_the_input_is_not_modified():
    x = torch.ones(4, 3, 16)

    locked_dropout(x, 0.5)

    assert x.equal(torch.ones(4, 3, 16))


def test_the_module_drops_while_training_and_changes_nothing_in_evaluation():
    torch.manual_seed(0)
    x = torch.randn(4, 3, 16)
    dropout = LockedDropout(0.5)

    trained, evaluated = dropout.train()(x), dropout.eval()(x)

    assert 0 < int((trained == 0).sum()) < x.numel()
    assert evaluated.equal(x)


def test_the_module_with_nothing_to_drop_changes_nothing_while_training():
    x = torch.randn(4, 3, 16)

    assert LockedDropout(0.0).train()(x).equal(x)


def test_the_module_shows_its_probability():
    assert repr(LockedDropout(0.25)) == "LockedDropout(p=0.25)"
