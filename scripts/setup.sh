#!/usr/bin/env bash
# Makes .venv with everything that misci_transport needs. Safe to call again: it then returns at once.
#
#   PYTHON=/path/to/python3   another interpreter than Debian's (a site with its own MPI, PETSc, HDF5)
#   MISCI_VENV=DIR            another place than .venv
#   MISCI_COMPILERS=1         Debian: compilers too, for hosts in C, C++ and Fortran and their tests (CI=true does the same)
#
# What is already importable is kept: a site's own mpi4py, petsc4py and h5py are never replaced.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=${MISCI_VENV:-.venv}
stamp=$venv/.misci-setup
compilers=no
if [[ ${MISCI_COMPILERS:-0} == 1 || ${CI:-} == true ]]; then
    compilers=yes
fi
key=$({ cat pyproject.toml scripts/setup.sh; echo "$PWD ${PYTHON:-} $compilers"; } | sha256sum | cut -d ' ' -f 1)

if [[ -x $venv/bin/misci && -f $stamp && $(<"$stamp") == "$key" ]]; then
    exit 0
fi

say() { printf 'setup: %s\n' "$*"; }
fail() {
    printf 'setup: %s\n' "$@" >&2
    exit 1
}

# ---- the interpreter -------------------------------------------------------------------------------------
# Debian's MPI, PETSc and HDF5 modules are built for /usr/bin/python3 only, whatever else is first on PATH.
debian=no
if [[ -n ${PYTHON:-} ]]; then
    base=$PYTHON
elif [[ -f /etc/debian_version ]] && command -v apt-get >/dev/null; then
    base=/usr/bin/python3
    debian=yes
else
    base=python3
fi

can() { MPI4PY_RC_INITIALIZE=0 "$@" >/dev/null 2>&1; }
debian_petsc4py() {
    find /usr/lib/petscdir -maxdepth 6 -path '/usr/lib/petscdir/petsc3*/*-real/lib/python3/dist-packages' 2>/dev/null |
        sort -V | tail -n 1
}

# ---- system packages (Debian) ----------------------------------------------------------------------------
if [[ $debian == yes ]]; then
    wanted=()
    can "$base" -c 'import venv, ensurepip' || wanted+=(python3-venv)
    [[ -n $(debian_petsc4py) ]] || can "$base" -c 'import petsc4py' || wanted+=(python3-petsc4py-real)
    can "$base" -c 'import mpi4py' || wanted+=(python3-mpi4py)
    can env H5PY_ALWAYS_USE_MPI=1 "$base" -c 'import h5py; assert h5py.get_config().mpi' || wanted+=(python3-h5py-mpi)
    command -v mpirun >/dev/null || wanted+=(openmpi-bin)
    /sbin/ldconfig -p | grep -q libopenblas || wanted+=(libopenblas0-pthread)
    if [[ $compilers == yes ]]; then
        for package in g++ gfortran python3-dev libopenmpi-dev make; do
            dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || wanted+=("$package")
        done
    fi
    if ((${#wanted[@]})); then
        install=(apt-get install -y --no-install-recommends "${wanted[@]}")
        if ((EUID != 0)); then
            fail "these system packages are missing, and installing them needs root. Please run:" \
                "    sudo ${install[*]}" "and call this again."
        fi
        say "${install[*]}"
        export DEBIAN_FRONTEND=noninteractive
        "${install[@]}" >/dev/null 2>&1 || { apt-get update -q && "${install[@]}"; }
    fi
fi

command -v "$base" >/dev/null || fail "no Python interpreter '$base'; set PYTHON to one (3.11 or newer)"
can "$base" -c 'import sys; assert sys.version_info >= (3, 11)' ||
    fail "$base is $("$base" --version 2>&1); Python 3.11 or newer is needed (set PYTHON)"

# ---- the virtual environment -----------------------------------------------------------------------------
if ! can "$venv/bin/python" -m pip --version; then
    say "creating $venv with $base"
    "$base" -m venv --clear --system-site-packages "$venv"
fi
python=$venv/bin/python

if ! can "$python" -c 'import petsc4py' && [[ -n $(debian_petsc4py) ]]; then
    debian_petsc4py >"$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/debian-petsc4py.pth"
fi

# Debian's compiled modules are built against numpy 1; elsewhere the newest numpy is welcome.
constraints=$venv/constraints.txt
: >"$constraints"
if [[ $debian == yes ]]; then
    echo 'numpy<2' >"$constraints"
fi

mapfile -t requirements < <("$python" - <<'PY'
import tomllib

project = tomllib.load(open("pyproject.toml", "rb"))
groups = [project["build-system"]["requires"], project["project"]["dependencies"]]
groups += [project["project"]["optional-dependencies"][name] for name in ("plot", "test", "dev")]
print("\n".join(requirement for group in groups for requirement in group))
PY
)
export PIP_DISABLE_PIP_VERSION_CHECK=1
say "installing Python packages"
"$python" -m pip install --quiet -c "$constraints" "${requirements[@]}"
"$python" -m pip install --quiet --no-deps --no-build-isolation -e .

# ---- does it work? ---------------------------------------------------------------------------------------
# MPI_Init may abort on a login node: nothing here starts MPI.
for module in numpy numba scipy mpi4py petsc4py h5py misci_transport misci_adapters; do
    can "$python" -c "import $module" ||
        fail "'$module' cannot be imported by $python:" \
            "$(MPI4PY_RC_INITIALIZE=0 "$python" -c "import $module" 2>&1 | tail -n 1)" \
            "docs/installation.md tells how to provide it; then call this again."
done
echo "$key" >"$stamp"
say "ready: $venv/bin/misci"
