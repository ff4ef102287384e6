import json
import shutil

import pytest

from charlm.checkpoint import save_adaptation


def test_info_counts_the_parameters_by_part(trained):
    content = json.loads(trained("info", "--json").out)

    vocab_size = content["model"]["vocab_size"]
    assert content["parameters"] == {
        "embedding": vocab_size * 16,
        "layer 0": 4 * 16 * (16 + 16 + 2),
        "head": vocab_size,
    }
    assert content["num_parameters"] == sum(content["parameters"].values())


def test_info_shows_where_it_came_from_and_how_good_it_is(trained):
    out = trained("info", "tale").out

    for said in ("tale.txt", "1 x 16 lstm", "nats per token at step", "all"):
        assert said in out


def test_info_says_what_the_kept_text_costs(trained, corpus, tmp_path):
    trained("train", corpus, "--hidden-size", 8, "--steps", 2, "-o", "private", "--no-keep-text")
    folder = tmp_path / "checkpoints" / "tale"
    size = sum(path.stat().st_size for path in (folder / "heldout").iterdir())

    kept = json.loads(trained("info", "tale", "--json").out)
    private = json.loads(trained("info", "private", "--json").out)

    assert kept["heldout_bytes"] == size > private["heldout_bytes"] == 0
    assert kept["heldout"]["test"]["num_bytes"] > 300 and private["heldout"] is None
    assert f"({size:,} compressed)" in trained("info", "tale").out
    assert "not kept: eval needs the original corpus" in trained("info", "private").out


def test_info_shows_what_was_tuned_and_for_which_context(trained, tmp_path):
    folder = tmp_path / "checkpoints" / "tale"
    rate, weight = {"learning_rate": 1 / 3}, {"size": 40, "weight": 0.1 * 1.6}
    save_adaptation(folder, "cache stream", {"dynamic": None, "cache": weight})
    save_adaptation(folder, "dynamic+cache frame", {"dynamic": rate, "cache": {"size": 7}})

    lines = [line.rstrip() for line in trained("info", "tale").out.splitlines()]
    content = json.loads(trained("info", "tale", "--json").out)

    (alone,) = [line for line in lines if "tuned for streams: " in line]
    (both,) = [line for line in lines if "tuned for frames: " in line]
    assert alone.split()[0] == "--cache" and both.split()[:2] == ["--dynamic", "--cache"]
    assert alone.endswith(f"--cache-size 40 --cache-weight {0.1 * 1.6}")
    assert both.endswith(f"--dynamic-learning-rate {1 / 3} --cache-size 7")
    assert list(content["adaptations"]) == ["cache stream", "dynamic+cache frame"]


def test_info_passes_over_settings_that_were_changed_by_hand(trained, tmp_path):
    before = trained("info", "tale").out

    save_adaptation(tmp_path / "checkpoints" / "tale", "cache", {"cache": {"size": 40}})

    result = trained("info", "tale")
    assert (result.status, result.out) == (0, before)


def test_list_names_all_checkpoints_the_newest_first(trained, corpus):
    trained("train", corpus, "--hidden-size", 8, "--steps", 2)

    names = [entry["checkpoint"] for entry in json.loads(trained("list", "--json").out)]

    assert names == ["checkpoints/tale-2", "checkpoints/tale"]
    assert "1 x 16 lstm" in trained("list").out


def test_list_passes_over_a_damaged_checkpoint_and_says_so(trained, tmp_path):
    (tmp_path / "checkpoints" / "tale" / "config.json").write_text("{")

    result = trained("list")

    assert result.status == 0
    assert "damaged" in result.err


BAD_REPORTS = [
    '{"step": "2", "valid_nats": 1.0}',
    '{"step": 2, "valid_nats": "low"}',
    '{"step": 2, "valid_nats": {"a": [1]}}',
    '{"step": null}',
    '{"step": 2, "valid_nats": [[1.0]]}',
]


@pytest.mark.parametrize("line", BAD_REPORTS)
def test_a_report_that_is_no_number_hides_no_run_and_no_other_report(trained, tmp_path, line):
    folder = tmp_path / "checkpoints" / "tale"
    shutil.copytree(folder, folder.with_name("other"))
    whole = {name: trained(*name).out for name in (("list", "--json"), ("info", "tale"))}
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(line + "\n")

    for name, out in whole.items():
        result = trained(*name)
        assert (result.status, result.out) == (0, out)
        assert "tale/metrics.jsonl:" in result.err and "is damaged" in result.err


def test_a_loss_that_is_not_finite_is_never_the_best(trained, tmp_path):
    before = json.loads(trained("info", "--json").out)["best_validation"]
    with (tmp_path / "checkpoints" / "tale" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 1, "valid_nats": NaN}\n{"step": 1, "valid_nats": -Infinity}\n')

    assert json.loads(trained("info", "--json").out)["best_validation"] == before


def test_an_empty_list_says_how_to_begin(charlm):
    assert "run `charlm train`" in charlm("list").err


SHAPE = ("--vocab-size", 50_000, "--cell", "lstm", "--num-layers", 4, "--hidden-size", 100)


def test_info_answers_how_many_weights_without_a_checkpoint(charlm):
    shape = (*SHAPE, "--embedding", "one-hot")

    out = charlm("info", *shape).out
    content = json.loads(charlm("info", *shape, "--json").out)

    outputs = 50_000 + 3
    assert content["parameters"] == {
        "layer 0": 4 * (outputs + 100 + 2) * 100,
        **{f"layer {number}": 4 * (100 + 100 + 2) * 100 for number in (1, 2, 3)},
        "head": outputs * (100 + 1),
    }
    assert content["num_parameters"] == sum(content["parameters"].values()) == 25_334_703
    for said in ("50,003 outputs", "= 4 x 50,105 x 100", "20,042,000", "25,334,703"):
        assert said in out


def test_weights_are_counted_as_train_would_shape_the_model(charlm):
    content = json.loads(charlm("info", "--vocab-size", 97, "--hidden-size", 8, "--json").out)

    assert content["model"]["tie_embeddings"] and content["model"]["embedding_size"] == 8
    assert content["parameters"]["head"] == 100
    adaptive = charlm("info", *SHAPE, "--softmax-cutoffs", "1000,4000", "--json").out
    assert json.loads(adaptive)["parameters"]["clusters"] == 2 * 101


def test_labels_and_what_ends_a_text_are_counted_too(charlm):
    shape = ("--vocab-size", 97, "--hidden-size", 8, "--label", "both", "--num-labels", 3)

    parts = json.loads(charlm("info", *shape, "--stop-by", "halt", "--json").out)["parameters"]

    assert parts["labels"] == 3 * 16 and parts["halting unit"] == 9
    assert parts["layer 0"] == 4 * (8 + 3 + 8 + 2) * 8


def test_a_shape_that_cannot_be_counted_is_one_line(trained):
    for given, said in (
        (("--cell", "gru"), "add --vocab-size"),
        (("tale", "--vocab-size", 5), "not both"),
        (("--vocab-size", 0), "--vocab-size must be at least 1, not 0"),
        (("--vocab-size", 5, "--cell", "jordan", "--num-layers", 2), "single layer"),
        (("--vocab-size", 5, "--num-labels", 2), "has no effect without a label; add --label"),
        (("--vocab-size", 5, "--label", "state"), "num_labels must be a whole number of at least"),
        (("--vocab-size", 5, "--connect", "skip"), "has no effect on a single layer"),
    ):
        result = trained("info", *given)
        assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
        assert said in result.err
