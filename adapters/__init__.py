"""Readers of fluid-code snapshots, imported as ``misci_adapters``."""
