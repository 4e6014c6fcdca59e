"""Every adapter passes the same contract, on small files in its layout; the genuine files have their masses."""

from __future__ import annotations

from types import SimpleNamespace

import contract
import pytest
from writers import WRITERS


@pytest.fixture
def with_skeleton(monkeypatch):
    """The example is registered by nobody."""
    from misci_adapters import skeleton

    from misci_transport.hosts import registry

    found = registry.entry_points(group=registry.ENTRY_POINTS)
    point = SimpleNamespace(name="skeleton", load=lambda: skeleton)
    monkeypatch.setattr(registry, "entry_points", lambda group: [*found, point])


@pytest.mark.usefixtures("with_skeleton")
@pytest.mark.parametrize("layout", WRITERS)
def test_contract(layout, tmp_path):
    if layout.startswith("carpetx"):
        pytest.importorskip("openpmd_api")
    contract.check_all(WRITERS[layout], tmp_path)
