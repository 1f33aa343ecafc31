"""What this package registers."""

EB_PLUGIN_API = "0.1"
