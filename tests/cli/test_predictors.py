"""What predicts, on the command line: adaptation, mixtures, and flags that have no effect."""

import hashlib
import json
import math
import re
import shutil

import pytest
import torch

from charlm.api import Evaluator, adapting, load
from charlm.checkpoint import save_weights
from charlm.cli.predictors import adaptation_settings, describe, parse_mix
from charlm.errors import ConfigError, StorageError
from charlm.evaluation import CacheConfig, CachedPredictor, NetworkPredictor

ADAPTATIONS = [["--dynamic"], ["--cache"], ["--dynamic", "--cache"]]


def notes_apart(err):
    """The lines of stderr but for the note on many unknown words, which models this small get."""
    return [line for line in err.splitlines() if "are <other>" not in line]


@pytest.fixture
def words(models, tmp_path, monkeypatch):
    """Checkpoints: words, noise of the same vocabulary, and chars; the folder of the first."""
    monkeypatch.setattr(adapting, "TUNING_TOKENS", 30)
    folder = tmp_path / "checkpoints"
    shutil.copytree(models("word"), folder / "noise")
    shutil.copytree(models("word"), folder / "words")
    shutil.copytree(models("char"), folder / "chars")
    lm = load(folder / "noise", "cpu")
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in lm.model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    save_weights(folder / "noise", lm.model)
    return folder / "words"


@pytest.fixture
def nats(charlm, words):
    """A function from arguments to the total surprisal of `charlm eval words`."""

    def of(*arguments, name="words"):
        result = charlm("eval", *([name] if name else []), *arguments, "--json")
        assert result.status == 0, result.err
        return json.loads(result.out)["total_nats"]

    return of


def said(result):
    """What is wrong: one line on stderr, status 1, nothing on stdout."""
    assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
    assert result.err.startswith("error: ")
    return result.err


def weights_of(folder):
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


# --- adaptation


def test_each_adaptation_changes_the_figures_the_same_way_each_time(nats, words):
    before = weights_of(words)

    found = [nats(*flags) for flags in ([], *ADAPTATIONS)]
    again = [nats(*flags) for flags in ([], *ADAPTATIONS)]

    assert found == again
    assert len(set(found)) == 4
    assert weights_of(words) == before


@pytest.mark.parametrize(
    "setting",
    [
        ["--dynamic", "--dynamic-learning-rate", 0.01],
        ["--dynamic", "--dynamic-decay", 0.5, "--dynamic-learning-rate", 0.01],
        ["--dynamic", "--dynamic-bptt", 3],
        ["--cache", "--cache-size", 10],
        ["--cache", "--cache-flatness", 0],
        ["--cache", "--cache-weight", 0.5],
    ],
    ids=lambda setting: setting[1],
)
def test_each_setting_has_an_effect(nats, setting):
    assert nats(*setting) != nats(setting[0])
    if "--dynamic-decay" in setting:
        assert nats(*setting) != nats(setting[0], *setting[3:])


def test_settings_reach_the_cache_that_they_name(nats, words):
    checkpoint = load(words, "cpu").checkpoint
    config = CacheConfig(size=40, flatness=0.5, weight=0.3)
    cached = Evaluator(checkpoint, CachedPredictor(NetworkPredictor(checkpoint.model), config))

    found = nats("--cache", "--cache-size", 40, "--cache-flatness", 0.5, "--cache-weight", 0.3)

    assert found == cached.evaluate_split("test").evaluation.total_nats


def test_the_table_says_what_adapts(charlm, words):
    out = charlm("eval", "words", "--dynamic", "--cache").out

    assert out.startswith("checkpoints/words + dynamic + cache on its test split\n")


def test_models_that_adapt_are_compared(charlm, nats):
    result = charlm("eval", "words", "noise", "--text", "tale.txt", "--cache", "--json")
    assert "tale.txt does not exist" in said(result)

    models = json.loads(charlm("eval", "words", "noise", "--cache", "--json").out)["models"]
    assert models[0]["total_nats"] == nats("--cache")
    assert models[1]["model"] == "checkpoints/noise + cache"


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--cache-size", 3], "--cache-size has no effect without --cache"),
        (["--cache-flatness", 1], "--cache-flatness has no effect without --cache"),
        (["--cache-weight", 0.1, "--dynamic"], "--cache-weight has no effect without --cache"),
        (["--dynamic-learning-rate", 1], "--dynamic-learning-rate has no effect without --dynamic"),
        (["--dynamic-decay", 0, "--cache"], "--dynamic-decay has no effect without --dynamic"),
        (["--dynamic-bptt", 3], "--dynamic-bptt has no effect without --dynamic"),
        (["--tune"], "--tune has nothing to tune; add --dynamic or --cache"),
        (
            ["--tune", "--dynamic", "--dynamic-learning-rate", 1, "--dynamic-decay", 0],
            "--tune has nothing to tune: all settings are given",
        ),
        (["--cache", "--cache-size", 0], "must be 1 to 100,000 tokens, not 0"),
        (["--cache", "--cache-size", 100_001], "must be 1 to 100,000 tokens, not 100001"),
        (["--cache", "--cache-size", 10**30], "must be 1 to 100,000 tokens"),
        (["--cache", "--cache-flatness", -1], "must be 0 or more, not -1"),
        (["--cache", "--cache-flatness", "nan"], "must be 0 or more, not nan"),
        (["--cache", "--cache-weight", 1], "above 0 and below 1, not 1"),
        (["--dynamic", "--dynamic-learning-rate", 0], "must be above 0, not 0"),
        (["--dynamic", "--dynamic-learning-rate", "inf"], "must be above 0, not inf"),
        (["--dynamic", "--dynamic-decay", 2], "must be in [0, 1], not 2"),
        (["--dynamic", "--dynamic-bptt", 0], "must have 1 to 100,000 tokens, not 0"),
        (["--dynamic", "--dynamic-bptt", 10**30], "must have 1 to 100,000 tokens"),
        (["--dynamic", "--dynamic-learning-rate", 1e38], "runs away"),
    ],
    ids=str,
)
def test_flags_without_effect_and_out_of_range_are_refused(charlm, words, arguments, what):
    assert what in said(charlm("eval", "words", *arguments))


def test_settings_are_those_of_what_is_asked_for():
    params = {"dynamic": False, "cache": True, "cache_size": 3, "cache_weight": None, "tune": True}

    assert adaptation_settings(params) == {"cache": {"size": 3}}
    assert adaptation_settings({}) == {}
    with pytest.raises(ConfigError, match="--cache-size has no effect"):
        adaptation_settings({**params, "cache": False})


def test_gradients_are_kept_with_the_checkpoint(charlm, words, nats, monkeypatch):
    found = nats("--dynamic")
    assert (words / "gradients.safetensors").exists()

    monkeypatch.setattr(adapting, "measure_gradients", None)  # is not called again
    assert nats("--dynamic") == found


def test_dynamic_evaluation_without_the_training_text_is_one_clear_line(
    charlm, trained, corpus, monkeypatch, tmp_path
):
    (tmp_path / "other.txt").write_text("The fox sat.")
    corpus.unlink()
    monkeypatch.setenv("CHARLM_CACHE", str(tmp_path / "empty"))

    line = said(charlm("eval", "tale", "other.txt", "--dynamic"))

    assert "dynamic evaluation is not possible yet" in line and "tale.txt does not exist" in line
    assert charlm("eval", "tale", "other.txt", "--cache").status == 0


# --- tuning


@pytest.mark.parametrize("flags", ADAPTATIONS, ids=" ".join)
def test_what_was_tuned_is_told_used_and_remembered(charlm, words, nats, flags):
    tuned = charlm("eval", "words", *flags, "--tune", "--json")

    lines = notes_apart(tuned.err)
    trials = [float(line.split()[0]) for line in lines if all(flag in line for flag in flags)]
    told = lines[-1].split(" with ")[1].split()
    assert trials[-1] == min(trials) <= trials[0]
    assert (words / "adaptation.json").exists()
    found = json.loads(tuned.out)["total_nats"]
    assert nats(*flags) == found
    assert nats(*flags, *told) == found


def test_a_setting_that_is_given_stays_when_others_are_tuned(charlm, words, nats):
    default = nats("--cache", "--cache-size", 40)

    tuned = charlm("eval", "words", "--cache", "--cache-size", 40, "--tune", "--json")

    told = [line.split(" with ")[1] for line in notes_apart(tuned.err)]
    assert len(set(told)) > 5
    assert all("--cache-size 40 " in line for line in told)
    assert nats("--cache") == json.loads(tuned.out)["total_nats"] != default


def test_what_was_tuned_is_for_texts_that_are_read_so(charlm, words, nats):
    frames = nats("--cache", "--context", "frame")
    charlm("eval", "words", "--cache", "--tune")
    assert nats("--cache", "--context", "frame") == frames

    charlm("eval", "words", "--cache", "--tune", "--context", "frame")
    assert nats("--cache", "--context", "frame") != frames


def test_what_was_tuned_gives_way_to_what_is_given_and_to_new_weights(charlm, words, nats):
    default = nats("--cache")
    charlm("eval", "words", "--cache", "--tune")
    tuned = nats("--cache")
    assert tuned != default

    defaults = ("--cache-size", 500, "--cache-flatness", 0.3, "--cache-weight", 0.1)
    assert nats("--cache", *defaults) == default

    shutil.copy(words.parent / "noise" / "model.safetensors", words / "model.safetensors")
    assert nats("--cache") == nats("--cache", name="noise")


def test_in_a_folder_of_someone_else_what_was_tuned_serves_once(charlm, words, nats, monkeypatch):
    def forbidden(*arguments):
        raise StorageError("cannot write adaptation.json: the folder is not writable.")

    monkeypatch.setattr(adapting, "save_adaptation", forbidden)
    default = nats("--cache")

    result = charlm("eval", "words", "--cache", "--tune", "--json")

    assert result.status == 0
    assert "cannot write adaptation.json" in notes_apart(result.err)[-1]
    assert "not remembered" in notes_apart(result.err)[-1]
    assert json.loads(result.out)["total_nats"] != default
    assert nats("--cache") == default


def test_settings_are_told_as_the_command_line_has_them():
    settings = {"dynamic": {"learning_rate": 1e-4, "bptt": 20}, "cache": None}

    assert describe(settings) == "--dynamic-learning-rate 0.0001 --dynamic-bptt 20"


@pytest.mark.parametrize("value", [0.1 * 1.6, 1 / 3, 3e-8, 0.3 * 2.0**5, 1.0])
def test_settings_are_told_to_the_last_digit(value):
    flag, told = describe({"dynamic": None, "cache": {"weight": value}}).split()

    assert (flag, float(told)) == ("--cache-weight", value)


# --- mixtures


def test_given_weights_are_those_of_the_probabilities(charlm, words, tmp_path, nats):
    (tmp_path / "one.txt").write_text("fox")
    terms = ("one.txt", "--frame", "line", "--context", "frame")
    mixed = nats(*terms, "--mix", "noise=0.4")

    # The text has two tokens: fox and <stop>.
    alone = [token_probs(name, "fox") for name in ("words", "noise")]
    expected = -sum(math.log(0.6 * a + 0.4 * b) for a, b in zip(*alone, strict=True))
    assert mixed == pytest.approx(expected, rel=1e-5)


def token_probs(name, text):
    lm = load(name, "cpu")
    tokens = [lm.tokenizer.start_id, *lm.tokenizer.encode(text), lm.tokenizer.stop_id]
    logits, _ = lm.model(torch.tensor([tokens[:-1]]), lm.model.initial_state(1))
    return logits.softmax(-1)[0, range(len(tokens) - 1), tokens[1:]].tolist()


def test_what_weights_leave_is_the_checkpoints(nats):
    remainder = nats("--mix", "noise=0.4")

    assert nats("--mix", "words=0.6", "--mix", "noise=0.4", name=None) == pytest.approx(remainder)
    assert nats("--mix", "noise=0.4", "--mix", "words=0.6", name=None) == pytest.approx(remainder)


def test_without_weights_they_are_fitted_on_the_validation_part(charlm, words, nats):
    result = charlm("eval", "words", "--mix", "ngram:2", "--split", "valid", "--json")

    (line,) = notes_apart(result.err)
    fitted = dict(re.findall(r"(\S+)=([\d.]+)", line))
    assert line.startswith("weights fitted on the validation part: ")
    assert sum(map(float, fitted.values())) == pytest.approx(1, abs=1e-3)
    mixed = json.loads(result.out)["total_nats"]
    network = nats("--split", "valid")
    comparison = charlm("eval", "words", "--baseline", 2, "--split", "valid", "--json").out
    ngram = json.loads(comparison)["models"][1]["total_nats"]
    assert mixed <= min(network, ngram) + 1e-3
    given = nats("--mix", f"ngram:2={fitted.get('ngram:2', 0)}", "--split", "valid")
    assert given == pytest.approx(mixed, rel=1e-4)


def test_an_arpa_file_is_the_ngram_model_it_was_written_from(charlm, words, nats):
    assert charlm("export", "words", "--arpa", "w.arpa", "--order", 3).status == 0

    by_name, by_file = (nats("--mix", f"{name}=0.5") for name in ("ngram:3", "w.arpa"))

    assert by_file == pytest.approx(by_name, rel=1e-5)
    assert nats("--mix", "ngram=0.5") == nats("--mix", "ngram:5=0.5") != by_name


def test_a_model_that_has_all_the_weight_is_measured_alone(charlm, words, nats):
    charlm("export", "words", "--arpa", "w.arpa", "--order", 2)
    comparison = charlm("eval", "words", "--baseline", 2, "--json").out
    expected = json.loads(comparison)["models"][1]["total_nats"]

    # The newest checkpoint, noise, gives the vocabulary, and nothing else.
    assert nats("--mix", "ngram:2=1", name=None) == pytest.approx(expected)
    assert nats("--mix", "w.arpa=1", name=None) == pytest.approx(expected, rel=1e-5)
    both = nats("--mix", "w.arpa=0.5", "--mix", "ngram:2=0.5", name=None)
    assert both == pytest.approx(expected, rel=1e-5)
    out = charlm("eval", "--mix", "ngram:2=1").out
    assert out.startswith("1 ngram:2 on its test split\n")
    assert nats("--mix", "noise=1", name=None) == pytest.approx(nats(name="noise"))


@pytest.mark.parametrize("weights", [("", ""), ("=0.3", "=0.7")], ids=["fitted", "given"])
def test_a_checkpoint_is_mixed_once_whatever_it_is_called(charlm, words, tmp_path, weights):
    (tmp_path / "other").symlink_to(words)
    here, there = (f"{name}{w}" for name, w in zip(("words", "other"), weights, strict=True))

    for arguments in (
        ["words", "--mix", here],
        ["words", "--mix", f"checkpoints/{here}"],
        ["words", "--mix", there],
        ["--mix", here, "--mix", there],
        ["noise", "--mix", here.replace("0.3", "0.2"), "--mix", there],
    ):
        assert "is in the mix already; name it once" in said(charlm("eval", *arguments))


def test_a_mixture_is_measured_as_any_model_is(charlm, words, tmp_path, nats):
    (tmp_path / "a.txt").write_text("The fox sat.\n")
    out = charlm("eval", "words", "--mix", "noise=0.25", "a.txt").out
    assert out.startswith("0.75 checkpoints/words + 0.25 noise on a.txt\n")

    found = charlm("eval", "words", "--mix", "noise=0.25", "a.txt", "--json")
    fingerprint = json.loads(found.out)["fingerprint"]
    plain = json.loads(charlm("eval", "words", "a.txt", "--json").out)
    assert fingerprint == plain["fingerprint"]
    adapted = nats("--mix", "noise=0.25", "--cache", "--cache-size", 40, "--dynamic")
    assert adapted != nats("--mix", "noise=0.25")


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["words", "--mix", "noise=1"], "leave nothing for checkpoints/words"),
        (["words", "--mix", "noise=0.4", "--mix", "ngram=0.7"], "they sum to 1.1"),
        (["--mix", "words=0.6", "--mix", "noise=0.3"], "sum to 1, not 0.6, 0.3"),
        (["words", "--mix", "noise=0"], "must be above 0"),
        (["words", "--mix", "noise=-1"], "must be above 0"),
        (["words", "--mix", "noise=nan"], "must be above 0"),
        (["words", "--mix", "noise=inf"], "leave nothing"),
        (["words", "--mix", "noise=0.2", "--mix", "noise=0.2"], "--mix names noise twice"),
        (["words", "--mix", "noise", "--mix", "noise"], "--mix names noise twice"),
        (["words", "--mix", "noise=0.2", "--mix", "ngram"], "a weight for each model, or for none"),
        (["words", "--mix", "chars=0.2"], "different vocabularies"),
        (["words", "--mix", "chars"], "different vocabularies"),
        (["words", "--mix", "nothing=0.2"], "there is no checkpoint nothing"),
        (["words", "--mix", "ngram:x"], "must be a whole number"),
        (["words", "--mix", "ngram:0=0.3"], "must be between 1 and 30, not 0"),
        (["words", "--mix", "ngram:31=0.3"], "must be between 1 and 30, not 31"),
        (["words", "--mix", "ngram=1"], "leave nothing for checkpoints/words"),
        (["--mix", "ngram=1.5"], "leave nothing"),
        (["words", "--mix", "ngram=abc"], "the weight in 'ngram=abc' must be a number"),
        (["words", "--mix", "ngram:3="], "the weight in 'ngram:3=' must be a number"),
        (["words", "--mix", "w.arpa=1/2"], "the weight in 'w.arpa=1/2' must be a number"),
        (["words", "--mix", "w.arpa.gz=x"], "the weight in 'w.arpa.gz=x' must be a number"),
        (["words", "--mix", "none.arpa"], "none.arpa does not exist"),
        (["words", "--mix", ""], "--mix must be NAME or NAME=WEIGHT"),
        (["words", "--mix", "=0.3"], "--mix must be NAME or NAME=WEIGHT"),
        (["words", "noise", "--mix", "ngram=0.2"], "--mix makes one model of several"),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, list) else "",
)
def test_mixtures_that_cannot_be_are_one_clear_line(charlm, words, arguments, what):
    assert what in said(charlm("eval", *arguments))


def test_a_damaged_arpa_file_is_one_clear_line(charlm, words, tmp_path):
    charlm("export", "words", "--arpa", "w.arpa", "--order", 2)
    content = (tmp_path / "w.arpa").read_text()
    (tmp_path / "torn.arpa").write_text(content[: len(content) // 2])
    charlm("export", "chars", "--arpa", "c.arpa", "--order", 2)

    assert "torn.arpa" in said(charlm("eval", "words", "--mix", "torn.arpa=0.5"))
    assert "c.arpa" in said(charlm("eval", "words", "--mix", "c.arpa=0.5"))


@pytest.mark.parametrize(
    ("texts", "members"),
    [
        ([], {}),
        (["a", "b"], {"a": None, "b": None}),
        (["a=0.5", "b=.25"], {"a": 0.5, "b": 0.25}),
        (["a=b=0.5"], {"a=b": 0.5}),
        (["a=b"], {"a=b": None}),
        (["ngram:3=1e-1"], {"ngram:3": 0.1}),
    ],
)
def test_a_weight_is_what_stands_behind_the_last_equals_sign(texts, members):
    assert parse_mix(texts) == members
