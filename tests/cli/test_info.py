import json

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


def test_an_empty_list_says_how_to_begin(charlm):
    assert "run `charlm train`" in charlm("list").err
