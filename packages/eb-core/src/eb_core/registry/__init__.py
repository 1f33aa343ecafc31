"""Hook specs, components, options, recipes, discovery and errors. Nothing here imports torch."""

from eb_core.registry.catalog import Offer, Registry
from eb_core.registry.component import HOOKS, KINDS, PLUGIN_API, Component
from eb_core.registry.conform import type_name
from eb_core.registry.discovery import Plugin, discover
from eb_core.registry.errors import EbError, Fault, PluginError, RunError, UsageError, did_you_mean
from eb_core.registry.hookspecs import hookimpl
from eb_core.registry.options import configurable, fields, option
from eb_core.registry.plugin_filter import PluginFilter
from eb_core.registry.recipes import Configuration, Section, SettingsLayer, parse_recipe, read_recipe
from eb_core.registry.resolution import resolve_layers
from eb_core.registry.setup import Diagnostic, Setup, notice, refuse
from eb_core.registry.text import Text

__all__ = [
    "HOOKS",
    "KINDS",
    "PLUGIN_API",
    "Component",
    "Configuration",
    "Diagnostic",
    "EbError",
    "Fault",
    "Offer",
    "Plugin",
    "PluginError",
    "PluginFilter",
    "Registry",
    "RunError",
    "Section",
    "SettingsLayer",
    "Setup",
    "Text",
    "UsageError",
    "configurable",
    "did_you_mean",
    "discover",
    "fields",
    "hookimpl",
    "notice",
    "option",
    "parse_recipe",
    "read_recipe",
    "refuse",
    "resolve_layers",
    "type_name",
]
