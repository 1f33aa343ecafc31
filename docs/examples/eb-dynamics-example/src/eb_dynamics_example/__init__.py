"""Over-relaxed block updates, and a ball with friction."""
