"""What this package registers: the suite itself."""

from eb_core.registry import Component, hookimpl

EB_PLUGIN_API = "0.1"


@hookimpl
def eb_suites() -> list[Component]:
    return [Component("eb-suite", "eb_suite:suite.toml", "the built-in plugins, and the defaults of a run")]
