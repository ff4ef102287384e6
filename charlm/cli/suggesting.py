"""Command group that suggests similar commands for an unknown one."""

from difflib import get_close_matches
from typing import Any

from charlm.cli.groups import TextGroup


class SuggestingGroup(TextGroup):
    """Command group that suggests commands with the same beginning or a similar spelling.

    For example, it suggests `generate` for `gen`.
    """

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command; fail with suggestions for an unknown name that resembles others."""
        name = args[0]
        known = self.list_commands(ctx)
        missing = name not in known and not name.startswith("-")
        if missing and not ctx.resilient_parsing and (near := similar(name, known)):
            meant = " or ".join(f"'{each}'" for each in near)
            ctx.fail(f"No such command '{name}'. Did you mean {meant}?")
        return super().resolve_command(ctx, args)


def similar(name: str, known: list[str]) -> list[str]:
    """Return the known names of which one is a prefix of the other, or those spelt similarly."""
    folded = name.lower()
    begun = [each for each in known if each.startswith(folded) or folded.startswith(each)]
    return begun if folded and begun else get_close_matches(folded, known)
