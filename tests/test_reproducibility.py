"""Products do not depend on where operands lie; charlm asks for that in time or warns."""

import itertools
import os
import subprocess
import sys

import pytest
import torch
from torch.nn.functional import linear

from charlm.reproducibility import MODE, VARIABLE, products_are_reproducible

needs_mkl = pytest.mark.skipif(
    products_are_reproducible() is None, reason="torch does not multiply with MKL here"
)
STATE = "from charlm.reproducibility import products_are_reproducible as p; print(p())"


def run_python(code, **environment):
    """Run code in a fresh process; its result."""
    inherited = {k: v for k, v in os.environ.items() if k != VARIABLE}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, env=inherited | environment, capture_output=True, text=True, check=True
    )


@needs_mkl
@pytest.mark.parametrize("first", ["import charlm, torch", "import torch, charlm"])
def test_importing_charlm_makes_products_reproducible_and_is_silent(first):
    ran = run_python(f"{first}; {STATE}")

    assert (ran.stdout, ran.stderr) == ("True\n", "")


@needs_mkl
def test_a_product_before_the_import_is_warned_of():
    ran = run_python(f"import torch; torch.ones(9, 9) @ torch.ones(9, 9); import charlm; {STATE}")

    assert ran.stdout == "False\n"
    assert "torch multiplied matrices before charlm was imported" in ran.stderr
    assert f"set {VARIABLE}={MODE}" in ran.stderr


@needs_mkl
@pytest.mark.parametrize(("value", "reproducible"), [("COMPATIBLE", "True"), ("", "False")])
def test_a_value_set_by_the_user_is_left_alone(value, reproducible):
    late = "import torch; torch.ones(9, 9) @ torch.ones(9, 9)"

    ran = run_python(f"{late}; import charlm; {STATE}", **{VARIABLE: value})

    assert (ran.stdout, ran.stderr) == (f"{reproducible}\n", "")


def test_child_processes_inherit_the_request():
    child = "import os; print(os.environ['MKL_CBWR'])"

    ran = run_python(
        f"import charlm, subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    )

    assert ran.stdout == f"{MODE}\n"


def test_without_torch_nothing_is_known_and_torch_is_not_imported():
    ran = run_python(f"import charlm, sys; {STATE}; print('torch' in sys.modules)")

    assert ran.stdout == "None\nFalse\n"


def moved(tensor, offset):
    """A copy that begins `offset` elements after a boundary of 64 bytes."""
    lanes = 64 // tensor.element_size()
    memory = torch.empty(tensor.numel() + 3 * lanes, dtype=tensor.dtype)
    begin = -(memory.data_ptr() // tensor.element_size()) % lanes + offset
    return memory[begin : begin + tensor.numel()].view(tensor.shape).copy_(tensor)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_products_do_not_depend_on_where_operands_lie(dtype):
    torch.manual_seed(0)
    sizes = itertools.product((1, 4, 7, 64), (3, 8, 33, 72, 130), (1, 8, 32, 130, 288))
    for rows, inputs, outputs in sizes:
        x, weight = torch.randn(rows, inputs).to(dtype), torch.randn(outputs, inputs).to(dtype)
        expected = linear(x, weight), torch.mv(weight, x[0]), torch.mm(weight, x.t())
        for x_offset, weight_offset in ((1, 0), (0, 1), (4, 8), (3, 5)):
            own_x, own_weight = moved(x, x_offset), moved(weight, weight_offset)
            found = linear(own_x, own_weight), torch.mv(own_weight, own_x[0])
            found += (torch.mm(own_weight, own_x.t()),)
            assert all(map(torch.equal, expected, found)), (rows, inputs, outputs)
