"""The `charlm info` and `charlm list` commands."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from charlm.cli import options, settings
from charlm.cli.predictors import describe
from charlm.errors import CharlmError, ConfigError
from charlm.location import BACKWARD, WEIGHTS, find_checkpoint, list_checkpoints

if TYPE_CHECKING:
    from charlm.checkpoint import Report

USUAL_SIZE = 512  # units, if no size is given


def info(
    context: typer.Context,
    checkpoint: options.Checkpoint = None,
    as_json: options.Json = False,
    vocab_size: settings.CountedSymbols = None,
    cell: settings.Cell = None,
    hidden_size: settings.HiddenSize = None,
    last_hidden_size: settings.LastHiddenSize = None,
    embedding: settings.Embedding = None,
    embedding_size: settings.EmbeddingSize = None,
    num_layers: settings.NumLayers = None,
    connect: settings.Connect = None,
    transition_depth: settings.TransitionDepth = None,
    mogrifier_steps: settings.MogrifierSteps = None,
    tie_embeddings: settings.TieEmbeddings = None,
    softmax: settings.Softmax = None,
    softmax_cutoffs: settings.SoftmaxCutoffs = None,
    stop_by: settings.StopBy = None,
    label: settings.Label = None,
    num_labels: settings.CountedLabels = None,
) -> None:
    """Show a checkpoint: its sizes, parameters by part, corpus and scores.

    With --vocab-size and a shape, count the parameters of such a model without building it.
    """
    shape = {k: v for k, v in context.params.items() if k not in NOT_SHAPE and v is not None}
    if not shape:
        show_checkpoint(checkpoint, as_json)
        return
    if checkpoint is not None:
        raise ConfigError("name a checkpoint, or the shape of a model; not both.")
    if "vocab_size" not in shape:
        raise ConfigError("add --vocab-size: how many weights a model has depends on it.")
    if softmax_cutoffs is not None:
        shape["softmax_cutoffs"] = settings.parse_cutoffs(softmax_cutoffs)
    show_count(shape, as_json)


NOT_SHAPE = ("checkpoint", "as_json")


def show_count(shape: dict[str, Any], as_json: bool) -> None:
    """Print the number of weights of a model by part, with formulas, as a table or as JSON.

    Args:
        shape: model settings by name, with the number of symbols as `vocab_size`.
        as_json: print JSON.

    Raises:
        ConfigError: a setting is out of range.
    """
    from charlm.display.tables import show_counts
    from charlm.model import NUM_SPECIALS, count_parameters
    from charlm.training import model_shape

    symbols = shape.pop("vocab_size")
    if symbols < 1:
        raise ConfigError(f"--vocab-size must be at least 1, not {symbols}.")
    config = model_shape(shape, symbols + NUM_SPECIALS, USUAL_SIZE)
    parts = count_parameters(config)
    if as_json:
        content = {
            "model": asdict(config),
            "num_parameters": sum(part.count for part in parts),
            "parameters": {part.part: part.count for part in parts},
            "formulas": {part.part: part.formula for part in parts},
        }
        print(json.dumps(content, indent=2))
        return
    show_counts(
        f"{config.shape}, {config.vocab_size:,} outputs: {symbols:,} symbols, <start>, <stop> and "
        "<other>",
        [(part.part, part.formula, part.count) for part in parts],
    )


def show_checkpoint(checkpoint: Path | None, as_json: bool) -> None:
    """Print the settings, sizes and best validation of a checkpoint, as tables or as JSON.

    Raises:
        CheckpointError: there is no such checkpoint, or it is damaged.
    """
    import torch

    from charlm.checkpoint import (
        describe_heldout,
        heldout_bytes,
        load_checkpoint,
        read_adaptations,
    )
    from charlm.display.tables import show_fields
    from charlm.kernels import Speed, lstm_speed, step_instruction_set
    from charlm.model import can_pack

    loaded = load_checkpoint(find_checkpoint(checkpoint), torch.device("cpu"))
    config, parts = loaded.config, loaded.model.parameters_by_part()
    best = best_validation(read_reports(loaded.folder))
    adaptations = read_adaptations(loaded.folder)
    if as_json:
        content = {
            "checkpoint": str(loaded.folder),
            **asdict(config),
            "num_parameters": sum(parts.values()),
            "parameters": parts,
            "best_validation": best,
            "adaptations": adaptations,
            "heldout_bytes": heldout_bytes(loaded.folder),
        }
        print(json.dumps(content, ensure_ascii=False, indent=2))
        return
    fields: dict[str, Any] = {
        "corpus": ", ".join(config.corpus.paths),
        "held-out text": describe_heldout(loaded.folder, config),
        "tokens": f"{config.text.level}, {config.model.vocab_size:,} in the vocabulary",
        "frame": config.corpus.frame,
        "read": read_direction(loaded.folder, config.corpus.direction),
        "model": config.model.shape,
        "softmax": config.model.softmax,
        "regularised by": config.model.dropouts,
        "embeddings": "tied" if config.model.tie_embeddings else "not tied",
    }
    if config.labels:
        counted = zip(config.labels, config.label_counts, strict=True)
        fields["labels"] = ", ".join(f"{label} ({count:,} texts)" for label, count in counted)
    if best is not None:
        fields["validation"] = (
            f"{best['valid_nats']:.4f} nats per token at step {best['step']:,} (estimate)"
        )
    for name, tuned in [item for item in adaptations.items() if len(item[0].split()) == 2]:
        way, context = name.split()
        fields[f"--{way.replace('+', ' --')}"] = f"tuned for {context}s: {describe(tuned)}"
    instruction_set = step_instruction_set()
    if instruction_set is None:
        fields["writing"] = "with torch: charlm was installed without a C compiler"
    elif not can_pack(loaded.model):
        fields["writing"] = "with torch: nothing is compiled for such a network"
    else:
        fields["writing"] = f"compiled ({instruction_set.title})"
    fields["training"] = {
        Speed.NONE: "with torch's kernels",
        Speed.VECTORS: "LSTMs in bfloat16 with charlm's own kernel (AVX-512)",
        Speed.TILES: "LSTMs in bfloat16 with charlm's own kernel (AMX)",
    }[lstm_speed()]
    fields["charlm"] = config.charlm_version
    show_fields(str(loaded.folder), fields)
    show_fields("parameters", {**parts, "all": sum(parts.values())})


def read_direction(folder: Path, direction: str) -> str:
    """Return the reading direction and, for both directions, where the backward half is."""
    if direction != "both":
        return direction
    there = (folder / BACKWARD).exists()
    return f"both: backward in {folder / BACKWARD}" if there else "both: backward not trained yet"


def list_all(as_json: options.Json = False) -> None:
    """List the checkpoints in checkpoints/, the newest first."""
    from charlm.checkpoint import read_config
    from charlm.display.console import show_note
    from charlm.display.tables import show_checkpoints, when
    from charlm.location import CONFIG

    rows: list[tuple[Path, dict[str, Any]]] = []
    for folder in list_checkpoints():
        try:
            config = read_config(folder / CONFIG)
            written = when((folder / WEIGHTS).stat().st_mtime)
            reports = read_reports(folder)
        except (CharlmError, OSError) as error:
            show_note(str(error))
            continue
        best = best_validation(reports)
        fields = {
            "tokens": f"{config.text.level} {config.model.vocab_size:,}",
            "model": config.model.shape,
            "step": reports[-1].step if reports else 0,
            "valid nats": f"{best['valid_nats']:.4f}" if best else "",
            "written": written,
        }
        rows.append((folder, fields))
    if as_json:
        print(json.dumps([{"checkpoint": str(f), **fields} for f, fields in rows], indent=2))
    elif rows:
        show_checkpoints(rows)
    else:
        show_note("there is no checkpoint in checkpoints/ yet; run `charlm train`.")


def read_reports(folder: Path) -> "tuple[Report, ...]":
    """Return the readable reports of a run, and print a note about the first damaged one.

    Raises:
        CheckpointError: metrics.jsonl is not a regular file or is too large.
    """
    from charlm.checkpoint import scan_history
    from charlm.display.console import show_note

    history, damage = scan_history(folder)
    if damage is not None:
        show_note(str(damage))
    return history.reports


def best_validation(reports: Sequence["Report"]) -> dict[str, Any] | None:
    """Return the fields of the report with the lowest validation loss, or None without validation.

    Weights kept from before the run was extended are included.
    """
    earlier = [
        type(report)(step=report.earlier_step or 0, valid_nats=report.earlier_nats)
        for report in reports
        if report.earlier_nats is not None
    ]
    tried = [report for report in (*reports, *earlier) if is_finite(report.valid_nats)]
    if not tried:
        return None
    best = min(tried, key=lambda report: report.valid_nats or 0.0)
    return {name: value for name, value in asdict(best).items() if value is not None}


def is_finite(value: float | None) -> bool:
    """Return whether a value is a finite number."""
    return value is not None and math.isfinite(value)
