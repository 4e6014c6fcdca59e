"""Every adapter passes the same contract, on small files in its layout; the genuine files have their masses."""

from __future__ import annotations

import contract
import pytest
from writers import WRITERS


@pytest.mark.parametrize("layout", WRITERS)
def test_contract(layout, tmp_path):
    contract.check_all(WRITERS[layout], tmp_path)
