"""The benchmark table on the star of model G15: python benchmarks/run.py [--json] [--repeat N]."""

from __future__ import annotations

import sys
from pathlib import Path

from misci_transport.bench import main

STAR = Path(__file__).resolve().parent.parent / "examples" / "g15"

if __name__ == "__main__":
    tables = ["--profile", str(STAR / "agile_boltztran_98ms.txt"), "--continuation", str(STAR / "s15s7b2.txt")]
    sys.exit(main([*tables, *sys.argv[1:]]))
