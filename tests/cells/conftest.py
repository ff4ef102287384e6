"""Cells of every name, with all that they need."""

import pytest
import torch
from torch.nn.functional import linear

from charlm.cells import JordanCell, make_cell

VOCAB_SIZE, LEAK = 6, 0.3


@pytest.fixture
def new_cell():
    """A cell by name; where the output feeds back, with an output layer of any precision."""

    def new_cell(name, input_size, hidden_size, mogrifier_steps=0):
        cell = make_cell(
            name,
            input_size,
            hidden_size,
            vocab_size=VOCAB_SIZE,
            leak=LEAK,
            mogrifier_steps=mogrifier_steps,
        )
        if isinstance(cell, JordanCell):
            weight, bias = torch.randn(VOCAB_SIZE, hidden_size), torch.randn(VOCAB_SIZE)
            cell.listen(lambda hidden: linear(hidden, weight.to(hidden), bias.to(hidden)))
        return cell

    return new_cell
