"""The forms that inputs come in are the vectors they stand for."""

import pytest
import torch
from torch.nn.functional import linear, one_hot

from charlm.cells import CELLS, Dense, Held, Lookup, OneHot, RecurrentLayer
from charlm.cells.inputs import as_inputs, dense, product

INDEX = torch.tensor([[3, 0, 1], [1, 1, 2]])


def parts():
    torch.manual_seed(0)
    return {
        "dense": Dense(torch.randn(2, 3, 4).double()),
        "lookup": Lookup(torch.randn(5, 4).double(), INDEX),
        "one-hot": OneHot(INDEX, 4),
        "held": Held(torch.randn(2, 4).double(), time=3),
    }


def written_out(name, part):
    if name == "lookup":
        return torch.stack([torch.stack([part.vectors[i] for i in row]) for row in INDEX])
    if name == "one-hot":
        return one_hot(INDEX, 4).double()
    if name == "held":
        return torch.stack([part.vectors] * 3, dim=1)
    return part.vectors


@pytest.mark.parametrize("name", parts())
def test_a_part_is_the_vectors_it_stands_for(name):
    part = parts()[name]
    weight = torch.randn(7, 4).double()

    vectors = written_out(name, part)

    assert part.size == 4
    torch.testing.assert_close(part.dense().double(), vectors, rtol=0, atol=0)
    torch.testing.assert_close(part.product(weight), linear(vectors, weight))


def test_parts_stand_side_by_side():
    inputs = tuple(parts().values())
    weight = torch.randn(7, 16).double()

    vectors = torch.cat([written_out(*item) for item in parts().items()], dim=-1)

    torch.testing.assert_close(dense(inputs), vectors, rtol=0, atol=0)
    torch.testing.assert_close(product(inputs, weight), linear(vectors, weight))


def test_one_part_or_a_tensor_is_taken_for_several():
    tensor = torch.randn(2, 3, 4)
    (part,) = as_inputs(tensor)

    assert part.vectors is tensor
    assert as_inputs(part) == (part,)
    assert as_inputs((part, part)) == (part, part)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("names", [("one-hot",), ("held",), ("lookup", "one-hot", "held")], ids=str)
def test_a_layer_takes_any_form_of_its_inputs(names, cell, new_cell):
    inputs = tuple(parts()[name] for name in names)
    layer = RecurrentLayer(new_cell(cell, 4 * len(names), 5)).double()
    vectors = torch.cat([written_out(name, parts()[name]) for name in names], dim=-1)

    torch.testing.assert_close(
        layer(inputs, layer.initial_state(2)), layer(vectors, layer.initial_state(2))
    )
