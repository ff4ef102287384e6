import json


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
