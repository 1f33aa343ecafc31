"""A new plugin package from templates: `eb new-plugin`."""
