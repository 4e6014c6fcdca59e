"""Opening a file of unknown format."""

from pathlib import Path

import pytest
from misci_adapters.registry import READERS, names, open_profile

from misci_transport.errors import ProfileError

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "g15"


def test_names():
    assert names() == ["misci table", "liebendoerfer2005", "kepler"]


@pytest.mark.parametrize("name", ["agile_boltztran_98ms.txt", "vertex_100ms.txt", "s15s7b2.txt"])
def test_exactly_one_reader_recognizes_a_table(name):
    assert [reader.name for reader in READERS if reader.sniff(EXAMPLES / name)] == ["misci table"]
    assert open_profile(EXAMPLES / name).size > 100


def test_exactly_one_reader_recognizes_a_genuine_file(sample_data):
    files = sorted((sample_data / "kepler_progenitors").iterdir())
    files += sorted((sample_data / "agile_boltztran_vertex_liebendoerfer2005").rglob("*h+*.txt"))
    found = {path.name: [r.name for r in READERS if r.sniff(path)] for path in files if path.suffix != ".txt"}
    found.update({path.name: [r.name for r in READERS if r.sniff(path)] for path in files if "datafile" in path.name})
    assert len(found) >= 9
    for name, matches in found.items():
        assert matches == (["liebendoerfer2005"] if name.startswith("datafile") else ["kepler"]), name


def test_unknown_and_missing_files(tmp_path):
    path = tmp_path / "x.bin"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(ProfileError, match=r"x.bin: format not recognized; known formats: misci table, lieb"):
        open_profile(path)
    path.write_text("")
    with pytest.raises(ProfileError, match="format not recognized"):
        open_profile(path)
    with pytest.raises(ProfileError, match="no such file"):
        open_profile(tmp_path / "gone")
