"""The README's Python examples, run as they are printed there."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]


def test_python_examples(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    steady, coupling = re.findall(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    (printed,) = re.findall(r"^```\n(CONVERGED.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    names: dict = {}
    exec(compile(steady, "README.md", "exec"), names)
    assert capsys.readouterr().out == printed
    luminosity = names["luminosity"].values
    assert luminosity.shape == (names["mesh"].size + 1, 2, 3)
    assert luminosity[-1, 0, 0] == pytest.approx(3.31e52, rel=5e-3)
    # conversion exchanges flavours and leaves their sum
    outside = luminosity[names["mesh"].face > 1e8].sum(axis=-1)
    assert np.abs(outside / outside[-1] - 1.0).max() < 1e-3

    stationary = names["transport"].sources.energy.copy()
    exec(compile(coupling, "README.md", "exec"), names)
    assert names["energy_gained"].shape == names["electrons_gained"].shape == (names["mesh"].size,)
    assert np.abs(names["energy_gained"] / names["dt"] - stationary).max() < 1e-3 * np.abs(stationary).max()


def test_links_and_pictures_exist():
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                candidate = page.parent / target
                assert candidate.exists() or candidate.with_suffix(".md").exists(), f"{page.name}: {target}"
