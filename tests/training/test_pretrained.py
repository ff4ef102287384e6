"""A model that begins with the vectors of a file, and may have to keep them."""

import pytest
import torch

from charlm.errors import ConfigError, TextError
from charlm.training import create_run, plan_run, prepare_run, resume_run

CPU = torch.device("cpu")
SHORT = {"steps": 6, "valid_every": 3, "batch_size": 4, "bptt": 16, "level": "word"}


@pytest.fixture
def vectors(tmp_path):
    """A file with a vector for "the", of eight times 0.5, and for a word nobody writes."""
    path = tmp_path / "vectors.txt"
    path.write_text("the" + " 0.5" * 8 + "\nxyzzy" + " 0.25" * 8 + "\n")
    return str(path)


def planned(corpus, **given):
    return plan_run({"paths": (str(corpus),), "hidden_size": 12, **SHORT, **given}, CPU)


def rows(run, tokenizer):
    weight = run.learner.model.body.embedding.weight.detach()
    return weight[tokenizer.encode("the")[0]].tolist(), weight.clone()


def test_known_words_begin_with_their_vectors_and_others_at_random(corpus, vectors, tmp_path):
    made = create_run(planned(corpus, embeddings=vectors), tmp_path / "run", CPU)
    plain = create_run(planned(corpus, embedding_size=8), tmp_path / "plain", CPU)

    row, weight = rows(made.run, made.tokenizer)
    _, without = rows(plain.run, plain.tokenizer)

    assert row == [0.5] * 8
    assert (weight != without).any(dim=1).sum() == 2  # the, and The
    assert made.plan.model.embedding_size == 8 and not made.plan.model.tie_embeddings


def test_the_embedding_may_be_tied_where_the_width_is_that_of_the_layers(corpus, vectors, tmp_path):
    made = create_run(planned(corpus, embeddings=vectors, hidden_size=8), tmp_path / "run", CPU)

    assert made.plan.model.tie_embeddings
    assert rows(made.run, made.tokenizer)[0] == [0.5] * 8


@pytest.mark.parametrize("frozen", [True, False])
def test_vectors_learn_unless_they_are_frozen_also_when_a_run_goes_on(
    corpus, vectors, tmp_path, frozen
):
    made = create_run(
        planned(corpus, embeddings=vectors, freeze_embeddings=frozen), tmp_path / "run", CPU
    )
    _, before = rows(made.run, made.tokenizer)
    events = made.run.events()
    for _ in range(3):
        next(events)
    events.close()
    made.run.save()

    resumed = resume_run(made.run.folder, CPU)
    list(resumed.run.events())

    row, after = rows(resumed.run, resumed.tokenizer)
    assert after.equal(before) == frozen
    assert (row == [0.5] * 8) == frozen


def test_a_note_says_how_much_of_the_text_has_vectors(corpus, vectors):
    plan = planned(corpus, embeddings=vectors)

    note = next(note for note in plan.notes if "vector" in note)
    assert note.startswith(f"2 of {plan.tokenizer.num_symbols:,} symbols begin with a vector")
    words = corpus.read_text().split()[: int(0.9 * len(corpus.read_text().split()))]
    share = sum(word.strip('.,;"').lower() == "the" for word in words) / len(words)
    said = float(note.split("file, ")[1].split("%")[0]) / 100
    assert said == pytest.approx(share, abs=0.05)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"embedding_size": 9}, "are 8 wide, not --embedding-size 9"),
        ({"embedding": "one-hot"}, "--embeddings has no effect with --embedding one-hot"),
        ({"freeze_embeddings": True, "tie_embeddings": True}, "would freeze the tied softmax too"),
    ],
    ids=str,
)
def test_settings_that_contradict_the_vectors_are_one_clear_line(corpus, vectors, given, said):
    with pytest.raises(ConfigError, match=said) as error:
        planned(corpus, embeddings=vectors, **given)

    assert "\n" not in str(error.value)


def test_freezing_without_vectors_has_nothing_to_keep(corpus):
    with pytest.raises(ConfigError, match="add --embeddings FILE"):
        planned(corpus, freeze_embeddings=True)


def test_a_file_without_any_of_the_words_is_refused(corpus, tmp_path):
    path = tmp_path / "other.txt"
    path.write_text("xyzzy 1 2 3\n")

    with pytest.raises(TextError, match="for none of the"):
        planned(corpus, embeddings=str(path))


def test_a_missing_file_is_one_clear_line_and_leaves_no_folder(corpus, tmp_path):
    given = {"paths": (str(corpus),), **SHORT, "embeddings": str(tmp_path / "none.txt")}

    with pytest.raises(TextError, match="does not exist"):
        prepare_run(given, tmp_path / "run", CPU)
    assert not (tmp_path / "run").exists()
