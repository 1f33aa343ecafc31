"""eb-core: contracts, registry, trainer and the command `eb` for energy-based learning.

    import eb_core as eb

    result = eb.train("mlp", dataset="digits", epochs=5)
    result.net.predict(images)

The public names are listed in `__init__.pyi` and imported on first use: `import eb_core` alone loads no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
