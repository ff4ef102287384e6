"""recipe.toml: all settings of a run, so that it can be repeated."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from charlm.data import CorpusConfig
from charlm.errors import ConfigError
from charlm.model import ModelConfig, default_cutoffs
from charlm.settings import pick, reason, setting_names, shown
from charlm.text import TextConfig
from charlm.training.config import TrainingConfig
from charlm.untrusted import MAX_RECIPE_BYTES, parse_toml, read_regular

SECTIONS = {
    "corpus": CorpusConfig,
    "text": TextConfig,
    "model": ModelConfig,
    "training": TrainingConfig,
}


@dataclass(frozen=True, slots=True)
class Length:
    """Length of a run, in one of three forms; `time` is a duration such as "5m"."""

    time: str | None = None
    epochs: float | None = None
    steps: int | None = None


LENGTHS = ("time", "epochs", "steps")
FOLLOWING = {"vocab_size", "num_labels"}  # derived from the text


@dataclass(frozen=True, slots=True)
class Recipe:
    """All settings of a run; in TOML, each field is a section."""

    corpus: CorpusConfig
    text: TextConfig
    model: ModelConfig
    training: TrainingConfig

    def to_toml(self) -> str:
        """Return the content of recipe.toml.

        Settings that are None are left out, because TOML has no None; so are empty tuples and
        settings that are derived from the text.
        """
        lines = ["# Repeat this run with `charlm train --recipe recipe.toml`."]
        for section, config in asdict(self).items():
            lines += ["", f"[{section}]"]
            for name, value in config.items():
                if value is not None and value != () and not self._follows(section, name):
                    lines.append(f"{name} = {toml_value(value)}")
        return "\n".join(lines) + "\n"

    def _follows(self, section: str, name: str) -> bool:
        """Return whether a setting is derived from the text and would be wrong for another one."""
        if section != "model":
            return False
        if name == "softmax_cutoffs":
            return self.model.softmax_cutoffs == default_cutoffs(self.model.vocab_size)
        return name in FOLLOWING


def toml_value(value: str | int | float | bool | tuple[Any, ...]) -> str:
    """Return a value in TOML syntax, which equals JSON syntax for these types."""
    return json.dumps(value, ensure_ascii=False)


def own_recipes() -> dict[str, Path]:
    """Return the paths of the recipes that come with charlm, by name."""
    here = Path(__file__).parent / "recipes"  # in a wheel
    checkout = Path(__file__).parents[2] / "recipes"
    folder = here if here.exists() else checkout
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def read_recipe(path: Path) -> dict[str, Any]:
    """Return the settings of a recipe.toml by name, from all sections; any may be missing.

    Args:
        path: a file, or the name of a recipe that comes with charlm.

    Raises:
        ConfigError: the file cannot be read, a section or a setting is unknown, or a value has the
            wrong type.
    """
    own = own_recipes()
    try:
        found = path if path.exists() else own.get(str(path), path)
        content = parse_toml(read_regular(found, MAX_RECIPE_BYTES))
    except FileNotFoundError:
        known = ", ".join(own)
        raise ConfigError(
            f"{path} does not exist; name a recipe.toml, or one of charlm's own: {known}."
        ) from None
    except IsADirectoryError:
        raise ConfigError(f"{path} is a folder; name the recipe.toml in it.") from None
    except (OSError, ValueError) as error:  # invalid TOML, or a number with thousands of digits
        raise ConfigError(f"{path} cannot be read as TOML: {reason(error)}.") from error
    given: dict[str, Any] = {}
    for section, settings in content.items():
        if section not in SECTIONS or not isinstance(settings, dict):
            known = ", ".join(SECTIONS)
            raise ConfigError(f"{path} has an unknown section {shown(section)}; there are {known}.")
        names = known_settings(section)
        for name in settings:
            if name not in names:
                raise ConfigError(f"{path} has an unknown setting {shown(name)} in [{section}].")
        listed = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
        given |= pick(SECTIONS[section], listed) | pick(Length, listed)
    return given


def known_settings(section: str) -> set[str]:
    """Return the names of the settings that are allowed in a section."""
    names = setting_names(SECTIONS[section])
    if section == "training":
        names |= set(LENGTHS)
    return names - FOLLOWING if section == "model" else names
