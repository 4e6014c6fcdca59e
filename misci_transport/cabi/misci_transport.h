/* Neutrino transport in local mixing equilibrium for hosts in C and C++.  docs/coupling.md, "C, C++ and Fortran".
 *
 * Units and frames.  Lengths cm, times s, angles rad.  Sources are per volume and time, averages over the step, and are
 * what the fluid GAINS: energy in erg cm^-3 s^-1, electrons minus positrons in cm^-3 s^-1, momentum in dyn cm^-3.
 * Temperatures and chemical potentials are in MeV.  By default matter is at rest for collisions and sources are those of
 * the frame of the mesh; with frame.doppler = true in the configuration they are those of the frame of matter.
 *
 * Calls.  The host calls MPI_Init and MPI_Finalize.  mt_init takes a Fortran handle (MPI_Comm_c2f) of any communicator
 * and duplicates it; all functions are collective over it but those marked "local".  They return MT_OK or a negative
 * status, which is the same on all ranks after a collective call, and mt_last_error has the words.  A call that failed
 * has changed nothing unless it is said otherwise.  No pointer is kept after a call.  Calls save and restore the
 * floating-point environment, so that a host may trap exceptions.  One thread at a time.
 */
#ifndef MISCI_TRANSPORT_H
#define MISCI_TRANSPORT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* BEGIN */
/* Changes whenever a struct, a number or a function below changes its meaning: compare it with mt_abi_version(). */
#define MT_ABI_VERSION 1

enum mt_status {
    MT_OK = 0,
    MT_ERROR_CONFIGURATION = -1, /* options, mesh, blocks, order of calls */
    MT_ERROR_UNPHYSICAL = -2,    /* a value of the fluid outside its range, too long a step: try another */
    MT_ERROR_TABLE = -3,         /* the fluid leaves the table of rates, or the table cannot be read */
    MT_ERROR_CONVERGENCE = -4,   /* no solution in a cell: try a shorter step (after mt_solve_steady: the state is lost) */
    MT_ERROR_FILE = -5,          /* a checkpoint cannot be read or written, or does not fit */
    MT_ERROR_DEPENDENCY = -6,    /* a package or library is missing */
    MT_ERROR_HANDLE = -7,        /* no such handle; local */
    MT_ERROR_PYTHON = -8,        /* Python could not be started: the reason is on stderr */
    MT_ERROR_INTERNAL = -9       /* an error of the library: please report the words of mt_last_error */
};

enum mt_geometry {
    MT_RADIAL = 0,    /* spherical symmetry: one axis r */
    MT_PLANE = 1,     /* plane symmetry: one axis */
    MT_CARTESIAN = 2, /* x, y, z; an axis with one cell is not resolved */
    MT_SPHERICAL = 3  /* r, theta, phi; an unresolved angle spans 0 to pi, 0 to 2 pi */
};

/* What a block has arrays for.  The first three are needed, and the velocity along every resolved axis. */
enum mt_field {
    MT_MASS_DENSITY = 0,       /* g cm^-3 */
    MT_TEMPERATURE = 1,        /* MeV */
    MT_ELECTRON_FRACTION = 2,  /* electrons minus positrons per baryon */
    MT_VELOCITY_1 = 3,         /* cm s^-1, along the axes of the mesh (in spherical coordinates of the cell's own basis) */
    MT_VELOCITY_2 = 4,
    MT_VELOCITY_3 = 5,
    MT_NEUTRON_FRACTION = 6,   /* composition: mass fractions; all six of 6 to 11 or none */
    MT_PROTON_FRACTION = 7,
    MT_ALPHA_FRACTION = 8,
    MT_HEAVY_FRACTION = 9,
    MT_HEAVY_MASS_NUMBER = 10,
    MT_HEAVY_CHARGE_NUMBER = 11,
    MT_ELECTRON_CHEMICAL_POTENTIAL = 12,  /* MeV, with the rest mass */
    MT_NUCLEON_POTENTIAL_DIFFERENCE = 13, /* mu_n - mu_p without rest masses, MeV */
    MT_HEAT_CAPACITY = 14,                /* d(energy density)/dT at constant density and Y_e, erg cm^-3 MeV^-1 */
    MT_ENERGY_BY_ELECTRON_FRACTION = 15,  /* d(energy density)/dY_e at constant density and T, erg cm^-3 */
    MT_ENERGY_SOURCE = 16,                /* written: erg cm^-3 s^-1 */
    MT_LEPTON_SOURCE = 17,                /* written: cm^-3 s^-1; dY_e/dt = this * 1.66053906660e-24 g / mass density */
    MT_MOMENTUM_SOURCE_1 = 18,            /* written: dyn cm^-3, along the axes; radial meshes: 1 only */
    MT_MOMENTUM_SOURCE_2 = 19,
    MT_MOMENTUM_SOURCE_3 = 20
};
#define MT_FIELDS 21

/* A block of the host's cells.  Start from zeros: "mt_block block = {0};". */
typedef struct mt_block {
    double *data[21];      /* by mt_field: the first element of the array, ghost cells included; NULL: there is none */
    int64_t stride[21][3]; /* by mt_field: doubles from a cell to the next one along each axis */
    int64_t shape[3];      /* cells along each axis, without ghosts; 1 along axes that are not there */
    int64_t ghost[3];      /* ghost cells below the first cell along each axis; they are neither read nor written */
} mt_block;

/* Blocks = MT_OWN_CUT in mt_mesh and mt_regrid: the host follows the cut of the transport, see mt_own_block. */
#define MT_OWN_CUT -1

/* MT_ABI_VERSION of the library; local. */
int mt_abi_version(void);

/* A positive handle, or a status.  config: TOML text, or the path of a TOML file; NULL or "": all defaults. */
int mt_init(int fcomm, const char *config);

/* Hand over the whole mesh, the same on all ranks: cells[3], and cells[n] + 1 faces along each axis (radial and plane
 * meshes: axis 1 only, the others NULL); and the blocks of this rank: lower[3 * blocks], the first cells, counted from
 * 0, and shape[3 * blocks].  All blocks of all ranks are every cell once.  There are no neutrinos yet. */
int mt_mesh(int handle, int geometry, const int64_t *cells, const double *faces_1, const double *faces_2,
            const double *faces_3, int blocks, const int64_t *lower, const int64_t *shape);

/* The same for a mesh or blocks that have changed; neutrinos are kept.  With the same faces the state stays as it is; on
 * other faces of the same geometry it is averaged over volumes. */
int mt_regrid(int handle, int geometry, const int64_t *cells, const double *faces_1, const double *faces_2,
              const double *faces_3, int blocks, const int64_t *lower, const int64_t *shape);

/* The block of this rank in the cut of the transport (shape 0 0 0 if it has none); local. */
int mt_own_block(int handle, int64_t *lower, int64_t *shape);

/* Begin from the stationary field over the matter of the blocks, and write its sources. */
int mt_solve_steady(int handle, int blocks, const mt_block *block);

/* Advance the neutrinos by dt, at most about mt_max_dt, and write sources.  Blocks as mt_mesh named them. */
int mt_step(int handle, int blocks, const mt_block *block, double dt);

/* The same in one implicit step of any length, of first order. */
int mt_step_implicit(int handle, int blocks, const mt_block *block, double dt);

/* Recommended step, s; local. */
int mt_max_dt(int handle, double *dt);

/* Collect totals and counts: how many, or a status.  measure: 1 measures the validity of the present state now, 0 takes
 * the last measurement (every validity.every steps). */
int mt_diagnostics(int handle, int measure);

/* Of the last mt_diagnostics, local: a value by name, such as "ledger collisions energy" (MeV), "alignment failed",
 * "validity smallest gamma", "coupling values routed"; names by index from 0; words on the validity, in lines.  Text is
 * cut to size - 1 bytes and ended by 0; returned is the length of all of it. */
int mt_diagnostic(int handle, const char *name, double *value);
int mt_diagnostic_name(int handle, int index, char *buffer, int size);
int mt_diagnostic_text(int handle, char *buffer, int size);

/* Write a checkpoint file, which any number of ranks restores.  NULL or "": keep the state in memory instead, in place of
 * the one kept before. */
int mt_checkpoint(int handle, const char *path);
int mt_restore(int handle, const char *path);

/* Words of the last error on this rank, "" if there was none; returned is the length of all of it; local. */
int mt_last_error(char *buffer, int size);

/* Forget everything of a handle, before MPI_Finalize. */
int mt_finalize(int handle);
/* END */

#ifdef __cplusplus
}
#endif

#endif
