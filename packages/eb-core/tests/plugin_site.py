"""A folder into which a test installs plugins: a module and the metadata that pip would write beside it."""

import importlib
import sys
from importlib.metadata import EntryPoint, distributions
from pathlib import Path

from eb_core.registry import Plugin, PluginFilter, Registry, discover
from eb_core.registry.discovery import GROUP

HEADER = 'from eb_core.registry import Component, hookimpl\n\nEB_PLUGIN_API = "0.1"\n\n'


class Site:
    """Packages in a folder on sys.path that only this test sees."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(self, distribution: str, source: str, header: str = HEADER, version: str = "1.0") -> str:
        """Write a package with one plugin, named like the package; returns the name of its module."""
        module = distribution.replace("-", "_").lower() + "_plugin"
        (self.folder / f"{module}.py").write_text(header + source)
        self.declare(distribution, f"[{GROUP}]\n{distribution} = {module}\n", version)
        return module

    def declare(self, distribution: str, entry_points: str, version: str = "1.0") -> None:
        """Write the metadata of a package."""
        info = self.folder / f"{distribution}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(entry_points)
        importlib.invalidate_caches()

    def points(self) -> list[EntryPoint]:
        """The entry points of the packages in the folder, and of no other."""
        found = distributions(path=[str(self.folder)])
        return [point for distribution in found for point in distribution.entry_points.select(group=GROUP)]

    def plugins(self, plugin_filter: PluginFilter | None = None) -> dict[str, Plugin]:
        """What became of each plugin, by distribution."""
        return {plugin.distribution: plugin for plugin in discover(plugin_filter or PluginFilter(), self.points())}

    def registry(self, prefer: tuple[str, ...] = ()) -> Registry:
        """A registry of the packages in the folder."""
        return Registry(discover(PluginFilter(), self.points()), prefer)

    def forget(self) -> None:
        """Take the modules of the folder out of memory."""
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None) or "").startswith(str(self.folder)):
                del sys.modules[name]
