"""A resumed run says so if its last digits may differ from a run that was never stopped."""

import json

import pytest
import torch

from charlm.checkpoint import load_state, save_state
from charlm.training import arithmetic, resume_run
from charlm.training.arithmetic import arithmetic_notes, describe_arithmetic

CPU = torch.device("cpu")


def test_the_same_arithmetic_needs_no_note():
    now = describe_arithmetic(CPU)

    assert arithmetic_notes(now, describe_arithmetic(CPU)) == ()
    assert arithmetic_notes({}, now) == ()  # a run of an older charlm


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("num_threads", 7, f"the number of threads changed from 7 to {torch.get_num_threads()}"),
        ("torch", "1.0", f"torch's version changed from 1.0 to {torch.__version__}"),
        ("processor", "vax", "the processor changed from vax to"),
        ("products", "MKL_CBWR=SSE2", "matrices are multiplied changed from MKL_CBWR=SSE2 to MKL"),
    ],
)
def test_each_change_is_named(name, value, said):
    now = describe_arithmetic(CPU)

    (note,) = arithmetic_notes({**now, name: value}, now)

    assert said in note and "may differ in the last digits" in note


def test_modes_of_the_matrix_libraries_are_part_of_the_arithmetic(monkeypatch):
    monkeypatch.setenv("MKL_CBWR", "AUTO")
    for name in ("MKL_ENABLE_INSTRUCTIONS", "ONEDNN_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)
    assert describe_arithmetic(CPU)["products"] == "MKL_CBWR=AUTO"

    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
    monkeypatch.setattr(arithmetic, "products_are_reproducible", lambda: False)
    products = describe_arithmetic(CPU)["products"]
    assert products == "MKL_CBWR=AUTO, ONEDNN_MAX_CPU_ISA=SSE41, not reproducible"


def test_a_run_saved_with_other_threads_says_so_when_it_is_resumed(prepare):
    run = prepare().run
    next(run.events())
    run.save()
    same = resume_run(run.folder, CPU).notes
    tensors, text = load_state(run.folder)
    kept = json.loads(text)
    kept["arithmetic"]["num_threads"] = 64
    save_state(run.folder, tensors, json.dumps(kept))

    other = resume_run(run.folder, CPU)

    assert same == ()
    assert "number of threads changed from 64 to" in other.notes[0]


def test_a_run_of_an_older_charlm_is_resumed_without_a_word(prepare):
    run = prepare().run
    next(run.events())
    run.save()
    tensors, text = load_state(run.folder)
    kept = json.loads(text)
    del kept["arithmetic"]
    save_state(run.folder, tensors, json.dumps(kept))

    assert resume_run(run.folder, CPU).notes == ()
