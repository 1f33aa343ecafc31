"""Rules and backends: from settled states to gradients."""
