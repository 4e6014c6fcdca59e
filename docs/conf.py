"""Sphinx configuration: Markdown pages, API from the docstrings, warnings are errors (`make docs`)."""

from misci_transport._version import __version__

project = "misci_transport"
author = "misci_transport developers"
copyright = "misci_transport developers"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.viewcode", "numpydoc"]
myst_enable_extensions = ["dollarmath", "amsmath", "deflist"]
myst_heading_anchors = 3
numfig = True
math_numfig = True
numpydoc_show_class_members = False
autodoc_typehints = "description"
# The machine that builds the pages need not have them.
autodoc_mock_imports = ["mpi4py", "petsc4py", "h5py"]

exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {"description": "Neutrino transport in local mixing equilibrium", "page_width": "1100px"}


def _plain_bars(_app, _what, _name, _object, _options, lines):
    # docstrings write |a| for a modulus; reStructuredText takes bars for substitutions
    lines[:] = [line.replace("|", r"\|") for line in lines]


def setup(app):
    app.connect("autodoc-process-docstring", _plain_bars)
