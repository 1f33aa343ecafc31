"""What this package registers."""

from eb_core.registry import Component, hookimpl

EB_PLUGIN_API = "0.1"


@hookimpl
def eb_datasets() -> list[Component]:
    return [Component("digits", "eb_datasets.digits:Digits", "1,797 handwritten digits, 8x8, embedded")]
