"""`eb new-plugin`: a complete package that works, with a component of one kind in it."""

from pathlib import Path
from typing import Annotated

import typer

from eb_core.cli.render import guarded, out
from eb_core.cli.terminal import styled
from eb_core.registry import KINDS, Registry
from eb_core.registry.commands import command


def _kinds() -> list[str]:
    return list(KINDS)


@guarded
def new_plugin(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What pip installs: lower-case words with hyphens, such as eb-my-chip.")],
    kind: Annotated[str, typer.Option(help=f"What is in it: {', '.join(KINDS)}.", autocompletion=_kinds)],
    into: Annotated[Path, typer.Option(help="Folder in which the new one is made.")] = Path(),
    author: Annotated[str | None, typer.Option(help="Who has the copyright; otherwise as git knows it.")] = None,
) -> None:
    """Write a package with a component that works, its recipe, its tests and what a release needs.

    It asks nothing and needs no network. A folder that is there already is left alone.
    """
    from eb_core.scaffold.names import names_of
    from eb_core.scaffold.package import new_package

    registry: Registry = context.obj
    names = names_of(name, kind, registry)
    folder = new_package(names, into, author)
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    out.print(styled("[bold]{}[/], a package with the {} [cyan]{}[/]", str(folder), kind, names.component))
    for path in files:
        out.print(styled("  [dim]{}[/]", str(path)))
    out.print()
    out.print("It works as it is. Install it, look at it, check it, train with it, test it:")
    for words in (
        ["pip", "install", "-e", f"{folder}[test]"],
        ["eb", "describe", kind, names.component],
        ["eb", "check", f"{kind}:{names.component}"],
        ["eb", "train", "--recipe", names.component],
        ["pytest", str(folder)],
    ):
        out.print(f"  {command(*words)}", soft_wrap=True)
    out.print()
    out.print(styled("Then make it yours, from [cyan]{}[/] on.", f"src/{names.module}/{names.stem}.py"))
