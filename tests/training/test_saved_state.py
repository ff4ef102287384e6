"""A training state is taken as a run saved it, and refused where anything is wrong with it."""

import json
import math

import pytest
import torch

from charlm.checkpoint import load_checkpoint, load_state, save_state
from charlm.errors import CheckpointError
from charlm.location import LEVEL_STATE
from charlm.training import Length, resume_run
from charlm.training.saved_state import load_level_state

CPU = torch.device("cpu")
WAYS = [
    {},
    {"optimizer": "sgd", "averaging": "triggered", "trigger_interval": 1},
    {"optimizer": "muon", "num_layers": 2},
    {"averaging": "ema", "clip_norm": None},
    {"averaging": "tail", "average_share": 1.0, "cell": "gru"},
    {"stop_by": "length", "frame": "line", "independent_frames": True},
]


@pytest.fixture
def stop(prepare):
    """Train for five steps and save; the folder."""

    def stop(**given):
        run = prepare(steps=20, valid_every=2, **given).run
        for _ in run.events():
            if run.progress.step == 5:
                break
        run.save()
        return run.folder

    return stop


def change(folder, tensors=None, settings=None):
    """Change the saved tensors, or the text beside them, and seal them again."""
    found, text = load_state(folder)
    if tensors is not None:
        tensors(found)
    if settings is not None:
        content = json.loads(text)
        settings(content)
        text = json.dumps(content)
    save_state(folder, found, text)


@pytest.mark.parametrize("given", WAYS)
def test_what_a_run_saved_is_taken(stop, given):
    run = resume_run(stop(**given), CPU).run

    assert run.learner.advance().step == 6


def test_what_a_run_of_labels_saved_is_taken(stop, tmp_path):
    rows = [f"{label}\tThe {label} is {n}.\n" for n in range(60) for label in ("cat", "dog")]
    (tmp_path / "pets.tsv").write_text("".join(rows))

    run = resume_run(stop(paths=(str(tmp_path / "pets.tsv"),), label="both"), CPU).run

    assert run.learner.advance().step == 6


def replace(name, value):
    def put(tensors):
        tensors[name] = value(tensors[name])

    return put


def rename(name, other):
    def put(tensors):
        tensors[other] = tensors.pop(name)

    return put


def fill(value):
    return lambda tensor: torch.full_like(tensor, value)


BIAS = "model.head.projection.bias"
MEAN = "average.weights.head.projection.bias"
DAMAGE = [
    (rename(BIAS, "model.x"), r"head\.projection\.bias is missing"),
    (rename(BIAS, "x"), "it has x, which the model does not"),
    (replace(BIAS, lambda tensor: tensor[1:]), r"head\.projection\.bias has shape"),
    (replace(BIAS, torch.Tensor.double), r"head\.projection\.bias is of float64, not float32"),
    (replace(BIAS, fill(math.nan)), r"head\.projection\.bias holds NaN"),
    (replace(MEAN, fill(math.inf)), r"head\.projection\.bias holds NaN or infinity"),
    (rename(MEAN, "average.weights.x"), r"head\.projection\.bias is missing"),
    (replace("average.count", fill(0)), r"average\.count does not fit"),
    (replace("average.count", torch.Tensor.float), r"average\.count is of float32, not int64"),
    (rename("average.count", "average.counts"), r"it has average\.counts, which"),
    (rename("optimizer.0.step", "optimizer.0.steps"), r"optimizer\.0\.step is missing"),
    (rename("optimizer.0.step", "optimizer.99.step"), r"optimizer\.0\.step is missing"),
    (rename("optimizer.0.step", "optimizer.x.y.z"), r"optimizer\.0\.step is missing"),
    (replace("optimizer.0.exp_avg", torch.Tensor.flatten), r"optimizer\.0\.exp_avg has shape"),
    (replace("optimizer.0.exp_avg", torch.Tensor.int), r"optimizer\.0\.exp_avg is of int32"),
    (replace("optimizer.0.exp_avg_sq", fill(math.nan)), r"optimizer\.0\.exp_avg_sq holds NaN"),
    (rename("state.0.1", "state.0.7"), r"state\.0\.1 is missing"),
    (rename("state.0.1", "state.x"), r"state\.0\.1 is missing"),
    (replace("state.0.1", lambda tensor: tensor[:1]), r"state\.0\.1 has shape \(1, 16\)"),
    (replace("state.0.1", torch.Tensor.long), r"state\.0\.1 is no fraction"),
    (replace("state.0.1", fill(math.nan)), r"state\.0\.1 holds NaN"),
    (rename("random.cpu", "random.tpu"), r"random\.cpu is missing"),
    (replace("random.cpu", lambda tensor: tensor[:-1]), r"random\.cpu has shape"),
    (replace("random.cpu", torch.Tensor.float), r"random\.cpu is of float32, not uint8"),
    (replace("random.cpu", fill(0)), r"random\.cpu"),
]


@pytest.mark.parametrize("number", range(len(DAMAGE)))
def test_tensors_that_do_not_fit_are_named_in_one_line(stop, number):
    damage, said = DAMAGE[number]
    folder = stop(averaging="ema")
    change(folder, tensors=damage)

    with pytest.raises(CheckpointError, match=said) as error:
        resume_run(folder, CPU)

    assert "\n" not in str(error.value) and len(str(error.value)) < 300


SETTINGS = [
    (lambda kept: kept.pop("progress"), "lacks settings or progress"),
    (lambda kept: kept.update(training=[1]), "lacks settings or progress"),
    (lambda kept: kept.update(arithmetic={"torch": [1]}), "arithmetic is no table"),
    (lambda kept: kept["training"].pop("steps"), "steps is missing"),
    (lambda kept: kept["training"].update(steps="9"), "steps must be a whole number"),
    (lambda kept: kept["training"].update(steps=2**60), "steps must be at most"),
    (lambda kept: kept["training"].update(accumulation_steps=2**20), "accumulation_steps must be"),
    (lambda kept: kept["training"].update(learning_rate=math.nan), "learning_rate must be"),
    (lambda kept: kept["training"].update(batch_size=10**9), r"has shape .*, not \(1000000000, 16"),
    (lambda kept: kept["training"].update(mood=1), "mood, which this charlm does not know"),
    (lambda kept: kept["progress"].update(step=None), "step must be a whole number"),
    (lambda kept: kept["progress"].update(step=-1), "step must be 0 or more"),
    (lambda kept: kept["progress"].update(seconds=[1]), "seconds must be a number"),
    (lambda kept: kept["progress"].update(seconds=-1.0), "seconds must be 0 or more"),
    (lambda kept: kept["progress"].update(rate_scale=math.inf), "rate_scale must be finite"),
    (lambda kept: kept["progress"].update(best_nats=math.nan), "best_nats must be finite"),
    (lambda kept: kept["progress"].update(num_tokens=10**30), "num_tokens must be a whole number"),
    (lambda kept: kept["progress"].update(earlier_nats=math.nan), "earlier_nats must be finite"),
    (lambda kept: kept["progress"].update(earlier_step=-1), "earlier_step must be 0 or more"),
]


@pytest.mark.parametrize("number", range(len(SETTINGS)))
def test_settings_and_progress_that_cannot_be_are_one_line(stop, number):
    damage, said = SETTINGS[number]
    folder = stop()
    change(folder, settings=damage)

    with pytest.raises(CheckpointError, match=said) as error:
        resume_run(folder, CPU)

    assert "\n" not in str(error.value) and len(str(error.value)) < 300


DEEP = "[" * 10_000 + "]" * 10_000
TEXTS = ["", "{", "null", "[]", "7", "[" * 100_000, DEEP]
TEXTS += [f'{{"training": {{}}, "progress": {DEEP}}}', '{"training": {}, "progress": null}']


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_a_text_that_is_no_table_is_one_line(stop, text):
    folder = stop()
    tensors, _ = load_state(folder)
    save_state(folder, tensors, text)

    with pytest.raises(CheckpointError, match="is damaged") as error:
        resume_run(folder, CPU)

    assert "\n" not in str(error.value) and len(str(error.value)) < 300


def restep(tensors, kept):
    kept["progress"]["step"] = 3


def misshape(tensors, kept):
    tensors[BIAS] = tensors[BIAS][1:]


def spoil(tensors, kept):
    tensors[BIAS].fill_(math.nan)


def unsettle(tensors, kept):
    kept["progress"]["earlier_nats"] = math.nan


@pytest.mark.parametrize("damage", [restep, misshape, spoil, unsettle])
def test_a_level_state_with_anything_wrong_is_not_gone_on_from(train, damage):
    """One of another step is passed over; damage is named before anything changes."""
    folder = train(steps=20, valid_every=10, schedule="constant", warmup_steps=2)
    model = load_checkpoint(folder, CPU).model
    assert load_level_state(folder, model) is not None
    tensors, text = load_state(folder, LEVEL_STATE)
    kept = json.loads(text)
    damage(tensors, kept)
    save_state(folder, tensors, json.dumps(kept), LEVEL_STATE)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    if damage is not restep:
        with pytest.raises(CheckpointError, match=r"delete that file to go on") as error:
            resume_run(folder, CPU, Length(steps=40))
        assert len(str(error.value)) < 400  # a path in a temporary folder is long
        assert {path: path.read_bytes() for path in before} == before
        (folder / LEVEL_STATE).unlink()
    assert load_level_state(folder, model) is None
    assert resume_run(folder, CPU, Length(steps=40)).run.progress.step == 20
