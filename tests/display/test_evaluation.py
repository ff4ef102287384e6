from charlm.display.evaluation import EXPLAINED, show_evaluation
from charlm.evaluation import MEASURES, Evaluation


def test_every_measure_is_shown_and_explained(capsys):
    result = Evaluation(
        total_nats=10.0,
        total_nats_other=1.0,
        sum_squared_nats=30.0,
        num_tokens=5,
        num_other=1,
        num_stop=1,
        num_words=4,
        num_chars=20,
        num_bytes=21,
    )

    show_evaluation(result, "a model on a text")

    out = capsys.readouterr().out
    assert set(EXPLAINED) == set(MEASURES)
    assert "a model on a text" in out
    assert "7.3891" in out  # e ** 2
    assert all(name in out for name in MEASURES)
