"""The probe of bfloat16 says what a real layer would do, and disturbs nothing."""

import pytest
import torch

from charlm.cells import CELLS, RecurrentLayer, make_cell, trains_in_bfloat16

CPU = torch.device("cpu")


@pytest.mark.parametrize("cell", CELLS)
def test_the_probe_says_what_becomes_of_a_larger_layer(cell):
    layer = RecurrentLayer(make_cell(cell, 40, 24, vocab_size=9, leak=0.5))
    if "jordan" in cell:
        pytest.skip("needs an output layer; it is stepped in float32")
    x = torch.randn(3, 5, 40)

    try:
        with torch.autocast("cpu", torch.bfloat16):
            output, _ = layer(x, layer.initial_state(3))
        output.float().sum().backward()
        trained = True
    except RuntimeError:
        trained = False

    assert trains_in_bfloat16(cell, CPU) == trained


def test_a_kernel_that_is_missing_is_found_out(monkeypatch):
    def missing(*arguments):
        raise RuntimeError("could not create a primitive descriptor")

    monkeypatch.setattr(RecurrentLayer, "forward", missing)

    assert not trains_in_bfloat16.__wrapped__("lstm", CPU)


def test_the_probe_takes_no_random_numbers():
    before = torch.get_rng_state()

    trains_in_bfloat16.__wrapped__("gru", CPU)

    assert torch.get_rng_state().equal(before)
