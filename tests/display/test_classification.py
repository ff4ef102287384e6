import numpy as np

from charlm.api import Classified, Confusion
from charlm.display.classification import show_classified, show_confusion

HOSTILE = "\x1b]0;pwn\x07[red]:smile:"
SHOWN = "\\x1b]0;pwn\\x07[red]:smile:"


def test_labels_and_texts_are_shown_as_text(capsys):
    found = Classified(label=HOSTILE, probabilities={HOSTILE: 0.75, "other": 0.25}, log_probs={})

    show_classified([(HOSTILE, found)])

    out = capsys.readouterr().out
    assert out.count(SHOWN) == 3  # heading, label, text
    assert not set(out) & set("\x1b\x07")


def test_the_names_of_a_confusion_matrix_are_shown_as_text(capsys):
    show_confusion(Confusion((HOSTILE, "other"), np.array([[1, 0], [0, 1]])), HOSTILE)

    out = capsys.readouterr().out
    assert out.count(SHOWN) == 3  # title, heading, row
    assert not set(out) & set("\x1b\x07")
