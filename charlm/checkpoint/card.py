"""README.md of a checkpoint: the model card."""

from pathlib import Path

from charlm.checkpoint.config_file import CheckpointConfig
from charlm.checkpoint.heldout import describe_heldout
from charlm.location import CARD, RECIPE, command_line
from charlm.storage import replace_file


def model_card(folder: Path, config: CheckpointConfig, num_parameters: int, scores: str) -> str:
    """Return the model card as Markdown: data, tokens, size, scores and commands."""
    text, model = config.text, config.model
    texts = ", ".join(Path(path).name for path in config.corpus.paths)
    tying = "tied" if model.tie_embeddings else "not tied"
    return f"""# {folder.name}

A recurrent language model trained with charlm {config.charlm_version}.

| | |
| --- | --- |
| corpus | {texts} (sha256 of content {config.corpus_sha256[:16]}) |
| held-out text | {describe_heldout(folder, config)} |
| tokens | {text.level}, {model.vocab_size:,} of them with `<start>`, `<stop>`, `<other>`; a frame is a {config.corpus.frame} |
| model | {model.shape}, embeddings of {model.embedding_size} ({tying}), {model.softmax} softmax, {model.dropouts} |
| parameters | {num_parameters:,} |
| scores | {scores} |

```
{command_line("generate", folder)}
{command_line("eval", folder)}
{command_line("train", "--recipe", folder / RECIPE)}    # repeats the run
```
"""  # noqa: E501


def save_card(folder: Path, card: str) -> None:
    """Replace README.md.

    Raises:
        StorageError: the file cannot be written.
    """
    replace_file(folder / CARD, card)
