def test_the_card_names_data_size_scores_and_commands(train):
    folder = train()

    card = (folder / "README.md").read_text()

    assert "tale.txt" in card
    assert "1 x 16 lstm" in card
    assert "nats per token" in card
    assert f"charlm generate {folder}" in card
