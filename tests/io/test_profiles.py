from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from misci_transport.errors import ProfileError
from misci_transport.fluid import Fluid
from misci_transport.hosts import registry
from misci_transport.hosts.own import host_of_profile
from misci_transport.io import profiles
from misci_transport.profile import Profile


def small():
    return Profile(
        np.array([0.0, 1e6, 2e6]), Fluid(np.array([1e14, 1e12]), np.ones(2), np.full(2, 0.3), np.zeros(2)), title="ball"
    )


def test_own_table_is_read(tmp_path):
    small().write_table(tmp_path / "ball.txt")
    assert np.array_equal(profiles.open_profile(tmp_path / "ball.txt").faces, small().faces)


def test_registered_adapter_is_asked(tmp_path, monkeypatch):
    adapter = SimpleNamespace(
        NAME="balls",
        sniff=lambda path: path.suffix == ".ball",
        open_host=lambda path, user: host_of_profile(small(), path, "balls"),
    )
    point = SimpleNamespace(name="balls", load=lambda: adapter)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    (tmp_path / "x.ball").write_text("1 2 3")
    assert profiles.open_profile(tmp_path / "x.ball").title == "ball"
    (tmp_path / "x.cube").write_text("1 2 3")
    with pytest.raises(
        ProfileError, match=r"x.cube: format not recognized; accepted: profile table of misci_transport, balls"
    ):
        profiles.open_profile(tmp_path / "x.cube")


def test_missing_file():
    with pytest.raises(ProfileError, match=r"nowhere.txt: no such file"):
        profiles.open_profile("nowhere.txt")
