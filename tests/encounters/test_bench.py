"""Rows of `misci bench`, small."""

from __future__ import annotations

from misci_transport.bench import beyond


def test_rows(monkeypatch):
    monkeypatch.setattr(beyond, "GASES", (100,))
    monkeypatch.setattr(beyond, "PAIRS", 1000)
    monkeypatch.setattr(beyond, "NEUTRINOS", 12)
    figures = beyond.beyond_figures(1)
    assert [f.unit for f in figures] == ["10^6/s", "ns", "ns"]
    assert all(f.value > 0.0 for f in figures)
