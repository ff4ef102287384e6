"""A run is trained in a precision that the device has, and the user is told of a change."""

from dataclasses import replace

import pytest
import torch

from charlm.errors import ConfigError
from charlm.training import Step, fit_recipe, prepare_run, resume_run
from charlm.training import precision as precision_module
from charlm.training.precision import can_use_bfloat16, check_precision, gains_from_bfloat16

CPU = torch.device("cpu")
ASKED = {"precision": "bfloat16", "cell": "gru"}


@pytest.fixture
def machine(monkeypatch):
    """A machine of the kind that is said: `machine(supports, trains)`."""

    def machine(supports, trains=True):
        monkeypatch.setattr(precision_module, "bfloat16_support", lambda device: supports)
        monkeypatch.setattr(precision_module, "trains_in_bfloat16", lambda cell, device: trains)

    return machine


@pytest.mark.parametrize(
    ("supports", "trains", "can", "gains"),
    [
        (True, True, True, True),
        (True, False, False, False),
        (None, True, True, False),
        (None, False, False, False),
        (False, True, False, False),
    ],
)
def test_bfloat16_is_used_where_it_is_not_emulated_and_the_cell_trains_in_it(
    machine, supports, trains, can, gains
):
    machine(supports, trains)

    assert can_use_bfloat16("lstm", CPU) == can
    assert gains_from_bfloat16("lstm", CPU) == gains


def test_bfloat16_typed_where_there_is_none_is_one_line_with_reason_and_choice(machine):
    machine(False)

    with pytest.raises(ConfigError) as error:
        check_precision(ASKED, CPU)

    assert str(error.value) == (
        "--precision bfloat16 cannot be used: this processor does not multiply in bfloat16 (it "
        "takes AVX-512 BF16 or AMX); use --precision float32, or leave it out."
    )


@pytest.mark.parametrize("given", [{}, {"precision": "float32"}])
def test_other_precisions_pass_on_every_machine(machine, given):
    machine(False)

    check_precision(given, CPU)

    assert fit_recipe(given, CPU) == (given, ())


def test_a_run_is_refused_before_it_leaves_a_folder(machine, corpus, tmp_path):
    machine(False)
    given = {"paths": (str(corpus),), "steps": 2, "precision": "bfloat16"}

    with pytest.raises(ConfigError, match="cannot be used"):
        prepare_run(given, tmp_path / "run", CPU)

    assert not (tmp_path / "run").exists()


def test_a_recipe_of_bfloat16_is_trained_in_float32_where_there_is_none(machine):
    machine(False)

    given, (note,) = fit_recipe(ASKED, CPU)

    assert given == {"precision": "float32", "cell": "gru"}
    assert note.startswith("the recipe asks for bfloat16, but this processor does not multiply")
    assert "training in float32" in note and "several times as long" in note


def test_a_recipe_of_bfloat16_stays_as_it_is_where_there_is_one(machine):
    machine(True)

    assert fit_recipe(ASKED, CPU) == (ASKED, ())


def test_the_plan_takes_bfloat16_only_where_it_gains(machine, prepare):
    plans = {}
    for supports in (True, False):
        machine(supports)
        plans[supports] = precision_of(prepare(f"run-{supports}", hidden_size=128, steps=1))

    assert plans == {True: "bfloat16", False: "float32"}


def precision_of(prepared):
    return prepared.run.learner.config.precision


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "leaky"])
def test_a_run_of_bfloat16_is_resumed_in_float32_and_says_so(cell, machine, prepare):
    run = prepare(cell=cell, precision="float32", hidden_size=16).run
    for event in run.events():
        if isinstance(event, Step) and event.step == 5:
            break
    run.learner.config = run.learner.average.config = replace(
        run.learner.config, precision="bfloat16"
    )
    # The state as torch's kernels leave it after a step in bfloat16.
    run.learner.state = tuple(tuple(s.bfloat16() for s in layer) for layer in run.learner.state)
    run.save()
    machine(False)

    resumed = resume_run(run.folder, CPU)
    steps = [event for event in resumed.run.events() if isinstance(event, Step)]

    assert precision_of(resumed) == "float32"
    (note,) = resumed.notes
    assert note.startswith("this run was begun in bfloat16, but this processor does not multiply")
    assert "goes on in float32, and is no longer bit for bit" in note
    assert all(step.is_finite for step in steps) and steps[-1].step == 40
