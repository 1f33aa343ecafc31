"""Where the console script `eb` begins: signals are heeded before anything heavy is imported."""

from eb_core.cli import signals


def main() -> None:
    """Run the command `eb`."""
    signals.install()
    from eb_core.cli.main import main as command

    command()
