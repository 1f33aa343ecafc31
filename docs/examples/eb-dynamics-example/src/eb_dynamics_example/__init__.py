"""Over-relaxed block updates."""
