"""Make the shared library: ``misci c-library -o DIR`` writes libmisci_transport.so, its header, its Fortran module."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError, MissingDependencyError

HERE = Path(__file__).resolve().parent
HEADER = HERE / "misci_transport.h"
FORTRAN = HERE / "misci_transport.f90"

#: Python as the interpreter that builds the library starts it, its virtual environment included: cffi's own start would
#: take another one's packages. The host keeps its signals.
_START = """
static const char mt_not_started[] = "Python could not be started; the reason is on stderr";

static int mt_say(char *buffer, int size)
{{
    if (buffer && size > 0) {{
        strncpy(buffer, mt_not_started, size - 1);
        buffer[size - 1] = 0;
    }}
    return (int)strlen(mt_not_started);
}}

static int mt_started(void)
{{
    PyConfig config;
    PyStatus status;
    if (Py_IsInitialized())
        return 1;
    PyConfig_InitPythonConfig(&config);
    config.parse_argv = 0;
    config.install_signal_handlers = 0;
    status = PyConfig_SetBytesString(&config, &config.program_name, {executable});
    if (!PyStatus_Exception(status))
        status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    if (PyStatus_Exception(status)) {{
        fprintf(stderr, "libmisci_transport: %s\\n", status.err_msg ? status.err_msg : "Python ended at its start");
        return 0;
    }}
    PyEval_SaveThread();
    return 1;
}}
"""

#: What a host's call does around Python: floating-point exceptions and modes of the host must not reach it.
_WRAPPER = """
{declaration}
{{
    fenv_t host;
    int64_t result = 0;
    fegetenv(&host);
    fesetenv(FE_DFL_ENV);
    if (mt_started())
        result = mt_py_{name}({arguments});
    fesetenv(&host);
    return {answer};
}}
"""

#: Python code that runs before the first call.
_CONNECT = """
from misci_transport.cabi import glue
from _misci_transport import ffi

glue.connect(ffi)
"""


def build(directory: str | os.PathLike[str]) -> list[Path]:
    """Write the library, its header and its Fortran module into a directory; their paths.

    The library runs the Python that builds it, with the packages that this one finds.

    Raises
    ------
    MissingDependencyError
        If cffi, a C compiler or Python's headers are missing.
    ConfigurationError
        If the directory cannot be made.
    """
    try:
        from cffi import FFI
    except ImportError as error:
        raise MissingDependencyError(
            f"cffi cannot be imported ({error}); accepted: the optional packages, pip install misci_transport[c-abi]"
        ) from None
    target = Path(directory)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{target} cannot be made: {error.strerror}") from None
    header = HEADER.read_text(encoding="utf-8")
    declared = header.partition("/* BEGIN */")[2].partition("/* END */")[0]
    types, functions = _parts(declared)
    ffi: Any = FFI()
    ffi.cdef(types)
    ffi.embedding_api("\n".join(f"int64_t mt_py_{name}({given});" for name, given in functions))
    ffi.embedding_init_code(_CONNECT)
    library_folder = sysconfig.get_config_var("LIBDIR")
    ffi.set_source(
        "_misci_transport",
        _source(header, functions),
        library_dirs=[library_folder] if library_folder else [],
        extra_link_args=[f"-Wl,-rpath,{library_folder}"] if library_folder and sys.platform != "win32" else [],
    )
    name = f"libmisci_transport{'.dylib' if sys.platform == 'darwin' else '.so'}"
    with tempfile.TemporaryDirectory(prefix="misci-c-") as scratch:
        try:
            made = ffi.compile(tmpdir=scratch, target=name, verbose=False)
        except Exception as error:
            # of cffi, distutils or setuptools, by version
            raise MissingDependencyError(
                f"the library could not be compiled ({error}); accepted: a C compiler and Python's headers and library "
                "(Debian: gcc and python3-dev)"
            ) from None
        # readers of the old library keep it: a new file, not new contents
        partial = target / f".{name}.{os.getpid()}"
        shutil.copyfile(made, partial)
        partial.chmod(0o755)
        partial.replace(target / name)
    shutil.copyfile(HEADER, target / HEADER.name)
    shutil.copyfile(FORTRAN, target / FORTRAN.name)
    return [target / name, target / HEADER.name, target / FORTRAN.name]


def _parts(declared: str) -> tuple[str, list[tuple[str, str]]]:
    """Types of the header for cffi, and its functions: names and parameters."""
    bare = re.sub(r"/\*.*?\*/", "", declared, flags=re.DOTALL)
    functions = re.findall(r"^int mt_(\w+)\(([^)]*)\);", bare, flags=re.MULTILINE)
    types = re.sub(r"^int mt_\w+\([^)]*\);", "", bare, flags=re.MULTILINE)
    return types, [(name, " ".join(given.split())) for name, given in functions]


def _source(header: str, functions: list[tuple[str, str]]) -> str:
    """C source: the header, and a function for each of its own around the one in Python."""
    parts = [
        "#include <fenv.h>",
        "#include <stdio.h>",
        "#include <string.h>",
        "#pragma GCC visibility push(default)",
        header,
        "#pragma GCC visibility pop",
        _START.format(executable=json.dumps(sys.executable)),
    ]
    for name, given in functions:
        arguments = ", ".join("" if word == "void" else re.split(r"[\s*]+", word)[-1] for word in given.split(","))
        otherwise = "mt_say(buffer, size)" if name == "last_error" else "MT_ERROR_PYTHON"
        answer = f"result > 0 ? (int)(result - 1) : result < 0 ? (int)result : {otherwise}"
        parts.append(f"int64_t mt_py_{name}({given});")
        declaration = f"int mt_{name}({given})"
        parts.append(_WRAPPER.format(declaration=declaration, name=name, arguments=arguments, answer=answer))
    return "\n".join(parts)
