from charlm.checkpoint import read_config


def test_the_card_names_data_size_scores_and_commands(train):
    folder = train()

    card = (folder / "README.md").read_text()

    assert "tale.txt" in card
    assert "1 x 16 lstm" in card
    assert "nats per token" in card
    assert f"charlm generate {folder}" in card
    heldout = read_config(folder / "config.json").heldout
    sizes = f"{heldout.valid.num_bytes} bytes for validation and {heldout.test.num_bytes} for test"
    assert f"| held-out text | in heldout/, readable by anyone: {sizes} (" in card


def test_the_card_says_where_no_text_is_kept(train):
    card = (train(keep_text=False) / "README.md").read_text()

    assert "| held-out text | not kept: eval needs the original corpus |" in card
