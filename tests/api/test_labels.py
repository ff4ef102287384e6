"""Models of labels: trained on texts of several kinds, they write under one and tell them apart."""

import json
import math

import numpy as np
import pytest
import torch

import charlm
from charlm.api import Adaptation, Classifier, Evaluator, adapt
from charlm.data import Framing, TextAtHand, TextPart
from charlm.errors import ConfigError, TextError
from charlm.evaluation import DynamicConfig
from charlm.training import prepare_run, resume_run

CPU = torch.device("cpu")
SHORT = {"hidden_size": 32, "batch_size": 4, "bptt": 16, "steps": 120, "valid_every": 60}
SHORT |= {"learning_rate": 0.02, "dropout": 0.0}
LINES = {"cats": "The cat says meow to the moon", "dogs": "A dog barks woof at some sun"}


def rows(count=60):
    for number in range(count):
        for label, line in LINES.items():
            yield label, f"{line} {number % 7}."


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("labels") / "pets.tsv"
    path.write_text("".join(f"{label}\t{text}\n" for label, text in rows()))
    return path


@pytest.fixture(scope="module", params=["state", "input", "both"])
def pets(request, table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pets")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHARLM_CACHE", str(folder / "cache"))
        given = {"paths": (str(table),), "label": request.param, **SHORT}
        run = prepare_run(given, folder / "run", CPU).run
        for _ in run.events():
            pass
        yield charlm.load(run.folder, "cpu")


def test_it_writes_what_its_label_says(pets):
    for label, line in LINES.items():
        text = pets.with_label(label).generate(temperature=0, max_new_tokens=40)
        assert text.startswith(line[:5])
    assert pets.labels == ("cats", "dogs")
    assert pets.checkpoint.config.label_counts == (54, 54)


def test_a_blend_of_one_label_alone_is_that_label(pets):
    alone = pets.with_label("cats").generate(seed=3, max_new_tokens=20)

    assert pets.with_label({"cats": 5.0}).generate(seed=3, max_new_tokens=20) == alone
    blended = pets.with_label({"cats": 0.5, "dogs": 0.5})
    assert blended.model.blend.tolist() == [0.5, 0.5]
    assert isinstance(blended.generate(seed=3, max_new_tokens=20), str)


def test_texts_are_likelier_under_their_own_label(pets):
    for label, line in LINES.items():
        bits = {name: pets.with_label(name).evaluate(line).bits_per_char for name in pets.labels}
        assert min(bits, key=bits.get) == label
        scores = pets.with_label(label).score(line)
        assert sum(s.nats for s in scores) == pytest.approx(
            -pets.with_label(label).log_probs([line])[0], rel=1e-4
        )


def test_a_label_is_found_by_bayes_rule(pets):
    (found,) = Classifier(pets.checkpoint).classify([LINES["dogs"]])

    log_probs = np.array([pets.with_label(n).log_probs([LINES["dogs"]])[0] for n in pets.labels])
    assert found.label == "dogs"
    assert list(found.log_probs.values()) == pytest.approx(log_probs, rel=1e-4)
    joint = np.exp(log_probs) * 0.5
    assert list(found.probabilities.values()) == pytest.approx(joint / joint.sum(), abs=1e-6)


def test_the_held_out_texts_are_told_apart_and_measured(pets):
    classifier = Classifier(pets.checkpoint)
    test = classifier.split("test")

    confusion = classifier.confusion(test)
    measured = classifier.measure(test, "test")

    assert confusion.num_frames == 6 and confusion.accuracy == 1
    assert confusion.counts.tolist() == [[3, 0], [0, 3]]
    assert confusion.chance == 0.5
    whole = classifier.together(list(measured.values())).evaluation
    assert whole.num_tokens == sum(m.evaluation.num_tokens for m in measured.values())
    for label, each in measured.items():
        assert math.isfinite(each.evaluation.perplexity)
        own = pets.with_label(label).evaluator().measure("own", test[label])
        assert each.evaluation.total_nats == pytest.approx(own.evaluation.total_nats)


def test_a_labelled_file_is_read_and_unknown_labels_are_named(pets, tmp_path):
    path = tmp_path / "more.jsonl"
    objects = [{"label": label, "text": text} for label, text in rows(2)]
    path.write_text("".join(json.dumps(row) + "\n" for row in objects))
    with Classifier(pets.checkpoint).read_file(str(path)) as texts:
        assert Classifier(pets.checkpoint).confusion(texts).counts.tolist() == [[2, 0], [0, 2]]
    path.write_text('{"label": "cows", "text": "Moo"}\n')

    with (
        pytest.raises(TextError, match="has the label 'cows', which the model does not know"),
        Classifier(pets.checkpoint).read_file(str(path)),
    ):
        pass


def test_a_part_of_the_corpus_is_that_of_the_label(pets):
    for label in pets.labels:
        own = pets.with_label(label).evaluate_split("test")
        test = Classifier(pets.checkpoint).split("test")[label]
        assert own.num_tokens == int((test.array != pets.tokenizer.start_id).sum())
    with pytest.raises(ConfigError, match="no part of the corpus has a blend of labels"):
        pets.with_label({"cats": 1.0, "dogs": 1.0}).evaluate_split("test")


def test_weights_follow_a_text_under_a_label(pets):
    cats = pets.with_label("cats").checkpoint
    predictor = adapt(cats, Adaptation(dynamic=DynamicConfig()))

    with Evaluator(cats).encoded(TextPart([TextAtHand(LINES["cats"])], Framing(frame="line"))) as t:
        found = Evaluator(cats, predictor).measure("cats", t).evaluation
    assert math.isfinite(found.total_nats)


def test_a_prior_counts(pets):
    text = ["Moo"]
    corpus, uniform = (
        next(Classifier(pets.checkpoint, prior).classify(text)) for prior in ("corpus", "uniform")
    )

    assert corpus == uniform  # there are as many cats as dogs


def test_without_a_label_nothing_is_written_or_read(pets):
    for ask in (lambda: pets.generate(), lambda: pets.evaluate("The cat")):
        with pytest.raises(ConfigError, match="writes and reads under a label; add --label NAME"):
            ask()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("cows", "knows no label 'cows'; there are cats, dogs"),
        ({"cats": 0.0}, "the weight of label 'cats' must be above 0, not 0"),
        ({"cats": math.inf}, "must be above 0, not inf"),
    ],
)
def test_labels_that_make_no_sense(pets, weights, message):
    with pytest.raises(ConfigError, match=message):
        pets.with_label(weights)


def test_a_model_without_labels_knows_none(train):
    lm = charlm.load(train())

    with pytest.raises(ConfigError, match="was trained without labels; leave out the label"):
        lm.with_label("cats")
    with pytest.raises(ConfigError, match="was trained without labels and tells none apart"):
        Classifier(lm.checkpoint)


def test_each_label_is_split_by_itself_and_all_are_seen_in_training(table, tmp_path):
    given = {"paths": (str(table),), "label": "both", **SHORT}
    run = prepare_run(given, tmp_path / "run", CPU).run

    window = run.learner.windows.window(0)
    tokens = run.learner.windows._windows._tokens

    assert set(window.labels) == {0, 1} and len(window.labels) == 4
    starts = np.flatnonzero(tokens[:] == run.config.model.vocab_size - 3)
    assert np.bincount(tokens.labels(starts)).tolist() == [54, 54]


@pytest.mark.parametrize("direction", ["backward", "both"])
@pytest.mark.parametrize("level", ["word", "byte"])
def test_labels_go_with_any_direction_and_level(table, tmp_path, direction, level):
    given = {"paths": (str(table),), "label": "both", "level": level, "direction": direction}
    run = prepare_run({**given, **SHORT, "steps": 40}, tmp_path / "run", CPU).run
    for _ in run.events():
        pass
    if direction == "both":
        for _ in resume_run(run.folder, CPU).run.events():
            pass
    lm = charlm.load(run.folder).with_label("cats")

    assert math.isfinite(lm.evaluate("The cat says meow").perplexity)
    assert Classifier(lm.checkpoint).confusion(Classifier(lm.checkpoint).split("test")).num_frames
    if direction == "both":
        assert lm.fill("The ___ says meow", num_fillings=2, width=5)
        assert sum(s.nats for s in lm.score("The cat says meow", context="both")) > 0


@pytest.mark.parametrize(
    ("content", "given", "message"),
    [
        ("label\ttext\n", {}, "has no texts; a model needs texts of several labels"),
        ("a\tx y z\na\tz y x\n", {}, "has the label 'a' alone; a model learns to tell two"),
        ("a\tx\nb\tx\n", {}, "holds nothing but 'x'"),
        ("a\tx y\nb\ty x\n", {"label_column": "kind"}, "there is no column 'kind'"),
        ("a\tx y\nb\ty x\n", {"independent_frames": False}, "leave out --no-independent-frames"),
    ],
)
def test_texts_that_make_no_labels(tmp_path, content, given, message):
    path = tmp_path / "few.tsv"
    path.write_text(content)

    with pytest.raises((ConfigError, TextError), match=message):
        prepare_run({"paths": (str(path),), "label": "both", **SHORT, **given}, tmp_path / "r", CPU)


def test_columns_are_named_only_where_there_are_labels(corpus, tmp_path):
    with pytest.raises(ConfigError, match="--label-column has no effect without --label; add it"):
        prepare_run({"paths": (str(corpus),), "label_column": "kind", **SHORT}, tmp_path / "r", CPU)


def test_validation_texts_have_labels_that_are_known(table, tmp_path):
    other = tmp_path / "other.tsv"
    other.write_text("cows\tMoo\n")
    given = {"paths": (str(table),), "valid": (str(other),), "test": (str(other),)}

    with pytest.raises(TextError, match="the valid texts have the label 'cows', which no training"):
        prepare_run({**given, "label": "both", **SHORT}, tmp_path / "run", CPU)
