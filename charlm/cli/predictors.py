"""Options that select the predictor: networks, adaptation and mixtures."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charlm.cli.loading import load_model
from charlm.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from charlm.api import Evaluator
    from charlm.checkpoint import Checkpoint
    from charlm.device import DeviceName
    from charlm.evaluation import Predictor

PANEL = "Predictor"

Dynamic = Annotated[
    bool,
    typer.Option(
        "--dynamic",
        help="Dynamic evaluation: adapt the weights to the text while reading it (Krause et "
        "al. 2018).",
        rich_help_panel=PANEL,
    ),
]
DynamicLearningRate = Annotated[
    float | None,
    typer.Option(
        help="Learning rate of dynamic evaluation. Default: as tuned, else 0.0002.",
        rich_help_panel=PANEL,
    ),
]
DynamicDecay = Annotated[
    float | None,
    typer.Option(
        help="Rate at which the weights decay back to the trained ones. Default: as tuned, "
        "else 0.001.",
        rich_help_panel=PANEL,
    ),
]
DynamicBptt = Annotated[
    int | None,
    typer.Option(
        help="Number of tokens per update in dynamic evaluation. Default: 20.",
        rich_help_panel=PANEL,
    ),
]
Cache = Annotated[
    bool,
    typer.Option(
        "--cache",
        help="Neural cache: raise the probability of tokens that were read recently (Grave et "
        "al. 2017).",
        rich_help_panel=PANEL,
    ),
]
CacheSize = Annotated[
    int | None,
    typer.Option(
        help="Number of tokens in the cache. Default: as tuned, else 500.", rich_help_panel=PANEL
    ),
]
CacheFlatness = Annotated[
    float | None,
    typer.Option(
        help="Flatness parameter theta: 0 weighs all cached tokens equally, larger values "
        "favour similar contexts. Default: as tuned, else 0.3.",
        rich_help_panel=PANEL,
    ),
]
CacheWeight = Annotated[
    float | None,
    typer.Option(
        help="Interpolation weight lambda of the cache, between 0 and 1. Default: as tuned, "
        "else 0.1.",
        rich_help_panel=PANEL,
    ),
]
Tune = Annotated[
    bool,
    typer.Option(
        "--tune",
        help="Tune the settings of --dynamic and --cache on the validation part and store "
        "them in the checkpoint. Settings given by option stay fixed.",
        rich_help_panel=PANEL,
    ),
]
Mix = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME[=WEIGHT]",
        help="Interpolate with another checkpoint of the same vocabulary, with an n-gram "
        "model of the training tokens (`ngram`, or `ngram:3` for order 3), or with an "
        "ARPA file. CHECKPOINT gets the rest of the weight; without weights, they are "
        "fitted on the validation part.",
        rich_help_panel=PANEL,
    ),
]
KINDS = {
    "dynamic": ("learning_rate", "decay", "bptt"),
    "cache": ("size", "flatness", "weight"),
}


def make_evaluator(
    name: Path | None, params: Mapping[str, Any], device: "DeviceName"
) -> tuple["Evaluator", str]:
    """Return the evaluator that the options of a command select, and its name.

    Args:
        name: name of the checkpoint; None for the newest.
        params: parameters of the command by name. The options defined above have the names
            `dynamic`, `cache_size` and so on.
        device: name of the device.

    Raises:
        CharlmError: a setting is malformed or without effect, or a model cannot be used.
    """
    given = adaptation_settings(params)
    members = parse_mix(params.get("mix") or [])

    from charlm.display.reading import show_reading

    if members and params.get("context") == "both":
        raise ConfigError("--context both needs both halves of one model; leave out --mix.")
    if members and params.get("label"):
        raise ConfigError("--label has no effect on what is mixed; leave out --mix or --label.")
    if members:
        return make_mixture(name, members, given, params, device)
    lm = load_model(name, device, params.get("label"))
    if params.get("context") == "both":
        evaluator = lm.evaluator(context="both", frame=params.get("frame"), follow=show_reading)
    else:
        evaluator = evaluator_of(lm.checkpoint, params)
    predictor = adapted(evaluator, given, tune=bool(params.get("tune")))
    label = " + ".join([str(lm.checkpoint.folder), *given])
    return (evaluator.with_predictor(predictor), label) if given else (evaluator, label)


def adaptation_settings(params: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the given settings of each selected adaptation, by "dynamic" and "cache".

    Raises:
        ConfigError: a setting is given for an adaptation that is not selected, or --tune is given
            without an adaptation.
    """
    asked: dict[str, dict[str, Any]] = {}
    for kind, names in KINDS.items():
        settings = {name: params.get(f"{kind}_{name}") for name in names}
        settings = {name: value for name, value in settings.items() if value is not None}
        if params.get(kind):
            asked[kind] = settings
        elif settings:
            flag = f"--{kind}-{next(iter(settings)).replace('_', '-')}"
            raise ConfigError(f"{flag} has no effect without --{kind}; add it.")
    if params.get("tune") and not asked:
        raise ConfigError("--tune has nothing to tune; add --dynamic or --cache.")
    return asked


def parse_mix(texts: list[str]) -> dict[str, float | None]:
    """Parse members of a mixture of the form NAME or NAME=WEIGHT into weights by name.

    A member without a weight has None.

    Raises:
        ConfigError: a member is malformed or given twice, or only some have weights.
    """
    members: dict[str, float | None] = {}
    for text in texts:
        name, _, number = text.rpartition("=")
        try:
            weight = float(number) if name else None
        except ValueError:
            if name.startswith("ngram") or ".arpa" in name:
                raise ConfigError(f"the weight in {text!r} must be a number.") from None
            weight = None
        name = name if weight is not None else text
        if not name or name.startswith("="):
            raise ConfigError(
                f"--mix must be NAME or NAME=WEIGHT, such as ngram=0.3, not {text!r}."
            )
        if name in members:
            raise ConfigError(f"--mix names {name} twice; name it once.")
        members[name] = weight
    if None in members.values() and any(w is not None for w in members.values()):
        raise ConfigError("--mix needs a weight for each model, or for none, to have them fitted.")
    return members


def make_mixture(
    name: Path | None,
    mixed: dict[str, float | None],
    given: dict[str, dict[str, Any]],
    params: Mapping[str, Any],
    device: "DeviceName",
) -> tuple["Evaluator", str]:
    """Return an evaluator of a mixture of models, and its name.

    If no checkpoint is named but --mix names one, the first of these is the main model. Otherwise
    the main model is the named or newest checkpoint, and its weight is what the given ones leave
    of 1. If they leave nothing and no checkpoint is named, it only provides the vocabulary.

    Args:
        name: name of the checkpoint; None if none is named.
        mixed: weight of each name given by --mix, or None for all, which fits the weights.
        given: settings of each selected adaptation.
        params: parameters of the command by name.
        device: name of the device.

    Raises:
        CharlmError: the weights leave nothing for the named checkpoint, a model is given twice or
            has another vocabulary, or a model cannot be used.
    """
    from charlm.api import (
        check_same_vocabulary,
        fit_mixture,
        is_arpa,
        load,
        mix,
        ngram_order,
        ngram_predictor,
    )
    from charlm.display.console import show_note

    networks = [n for n in mixed if not is_arpa(n) and ngram_order(n) is None]
    weights = {n: w for n, w in mixed.items() if w is not None}
    left = 1 - sum(weights.values())
    if name is not None or not networks:
        primary = load(name, device).checkpoint
        main = str(primary.folder)
        if weights and left < 1e-6:
            if name is not None or left < -1e-6:
                raise ConfigError(
                    f"the weights of --mix leave nothing for {primary.folder}; they sum to "
                    f"{sum(weights.values()):g}."
                )
            main = ""  # the checkpoint only provides the vocabulary
        elif weights:
            weights = {main: left, **weights}
    else:
        primary, main = load(networks[0], device).checkpoint, networks[0]
    evaluator = evaluator_of(primary, params)
    members: dict[str, Predictor] = {}
    folders: set[Path] = set()
    for member in [main, *(n for n in mixed if name or n != main)] if main else mixed:
        ngram = ngram_predictor(primary, member) if member != main else None
        if ngram is not None:
            members[member] = ngram
            continue
        checkpoint = primary if member == main else load(member, device).checkpoint
        check_same_vocabulary(primary, checkpoint)
        if checkpoint.folder.resolve() in folders:
            raise ConfigError(f"{checkpoint.folder} is in the mix already; name it once.")
        folders.add(checkpoint.folder.resolve())
        own = evaluator_of(checkpoint, params)
        members[member] = adapted(own, given, tune=bool(params.get("tune")))
    if not weights:
        weights = fit_mixture(evaluator, members)
        shown = " ".join(f"{n}={w:.4f}" for n, w in weights.items())
        show_note(f"weights fitted on the validation part: {shown}")
    label = " + ".join([" + ".join(f"{w:.3g} {n}" for n, w in weights.items()), *given])
    return evaluator.with_predictor(mix(members, weights)), label


def evaluator_of(checkpoint: "Checkpoint", params: Mapping[str, Any]) -> "Evaluator":
    """Return the evaluator of a checkpoint with the context and frame of the command."""
    from charlm.api import Evaluator
    from charlm.display.reading import show_reading

    return Evaluator(
        checkpoint,
        context=params.get("context"),
        frame=params.get("frame"),
        follow=show_reading,
    )


def adapted(
    evaluator: "Evaluator", given: Mapping[str, dict[str, Any]], *, tune: bool
) -> "Predictor":
    """Return the network of a checkpoint with the selected adaptation, tuned first if `tune`.

    Args:
        evaluator: evaluator of the checkpoint.
        given: settings of each selected adaptation. Others are as tuned before, or default.
        tune: tune the other settings on the validation part; the checkpoint stores them.
    """
    from charlm.api import adapt, remembered, tune_adaptation
    from charlm.display.console import show_note

    if not given:
        return evaluator.predictor
    checkpoint = evaluator.checkpoint
    dynamic, cache, reading = given.get("dynamic"), given.get("cache"), evaluator.reading
    adaptation = remembered(checkpoint, dynamic, cache, reading.context)
    if tune:
        trials = tune_adaptation(checkpoint, dynamic, cache, evaluator.split("valid"), reading)
        try:
            for adaptation, nats in trials:
                show_note(f"{nats:.4f} nats per token with {describe(asdict(adaptation))}")
        except StorageError as error:  # a read-only checkpoint: the settings are used once
            show_note(f"{error} The settings are not remembered.")
    return adapt(checkpoint, adaptation)


def describe(adaptation: Mapping[str, Mapping[str, Any] | None]) -> str:
    """Return settings of adaptations as command-line flags."""
    return " ".join(
        f"--{kind}-{name.replace('_', '-')} {value!r}"
        for kind, settings in adaptation.items()
        if isinstance(settings, Mapping)  # None if not selected; another type if edited by hand
        for name, value in settings.items()
    )
