/* All functions of the library from C, each with its answer checked; exit code 1 and a line for what is not as it should
 * be. With several ranks, the last ones have a session on a communicator of their own. */
#include <fenv.h>
#include <math.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "misci_transport.h"

static int wrong = 0;
static char words[2000];

#define EXPECT(condition)                                                              \
    do {                                                                               \
        if (!(condition)) {                                                            \
            mt_last_error(words, sizeof words);                                        \
            fprintf(stderr, "line %d: %s; last error: %s\n", __LINE__, #condition, words); \
            wrong = 1;                                                                 \
        }                                                                              \
    } while (0)

#define CELLS 12
#define GHOST 2
#define WIDTH (CELLS + 2 * GHOST)

static const char *const configuration =
    "[energy]\nminimum = 4.0\nmaximum = 100.0\ngroups = 4\n[angles]\nkind = \"ordinates\"\ndirections = 4\n";

static void fill(double values[5][WIDTH], mt_block *block, int64_t low, int64_t count)
{
    const int fields[5] = {MT_MASS_DENSITY, MT_TEMPERATURE, MT_ELECTRON_FRACTION, MT_VELOCITY_1, MT_ENERGY_SOURCE};
    int n, i;
    memset(block, 0, sizeof *block);
    for (n = 0; n < 5; ++n) {
        for (i = 0; i < WIDTH; ++i) values[n][i] = NAN;
        block->data[fields[n]] = values[n];
        block->stride[fields[n]][0] = 1;
    }
    for (i = 0; i < count; ++i) {
        const double r = (low + i + 0.5) * 5.0e5;
        values[0][i + GHOST] = 1.0e13 * exp(-r / 6.0e5) + 1.0e8;
        values[1][i + GHOST] = 8.0 - r / 1.0e6;
        values[2][i + GHOST] = 0.2;
        values[3][i + GHOST] = 0.0;
    }
    block->shape[0] = count, block->shape[1] = block->shape[2] = 1;
    block->ghost[0] = GHOST;
}

static void use(MPI_Comm comm)
{
    int handle, i, rank, size, same;
    int64_t cells[3] = {CELLS, 1, 1}, lower[3], shape[3];
    double faces[2 * CELLS + 1], values[5][WIDTH], dt = 0.0, first[WIDTH], number;
    mt_block block;

    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &size);
    EXPECT(mt_init(MPI_Comm_c2f(comm), "[energy]\ngroups = 1\n") == MT_ERROR_CONFIGURATION);
    EXPECT(mt_last_error(words, sizeof words) == (int)strlen(words) && strstr(words, "energy.groups is 1; accepted"));
    EXPECT(mt_last_error(words, 7) > 7 && strlen(words) == 6);
    handle = mt_init(MPI_Comm_c2f(comm), configuration);
    EXPECT(handle > 0);
    EXPECT(mt_max_dt(handle, &dt) == MT_ERROR_CONFIGURATION);
    EXPECT(mt_max_dt(handle + 100, &dt) == MT_ERROR_HANDLE);
    for (i = 0; i <= CELLS; ++i) faces[i] = i * 5.0e5;
    EXPECT(mt_mesh(handle, 9, cells, faces, NULL, NULL, MT_OWN_CUT, NULL, NULL) == MT_ERROR_CONFIGURATION);
    EXPECT(mt_mesh(handle, MT_RADIAL, cells, NULL, NULL, NULL, MT_OWN_CUT, NULL, NULL) == MT_ERROR_CONFIGURATION);
    EXPECT(mt_mesh(handle, MT_RADIAL, cells, faces, NULL, NULL, MT_OWN_CUT, NULL, NULL) == MT_OK);
    EXPECT(mt_own_block(handle, lower, shape) == MT_OK && shape[0] > 0 && shape[1] == 1);
    EXPECT(mt_max_dt(handle, &dt) == MT_OK && dt > 0.0);
    EXPECT(mt_diagnostic(handle, "steps", &number) == MT_ERROR_CONFIGURATION);

    /* a step, with the host's flags and modes of arithmetic as they were */
    fill(values, &block, lower[0], shape[0]);
    feclearexcept(FE_ALL_EXCEPT);
    fesetround(FE_DOWNWARD);
    EXPECT(mt_step(handle, 1, &block, dt) == MT_OK);
    EXPECT(fegetround() == FE_DOWNWARD && !fetestexcept(FE_ALL_EXCEPT));
    fesetround(FE_TONEAREST);
    for (i = 0; i < WIDTH; ++i) {
        const int inside = i >= GHOST && i < GHOST + shape[0];
        EXPECT(isfinite(values[4][i]) ? inside && values[4][i] != 0.0 : !inside);
        first[i] = values[4][i];
    }

    /* errors: the same status on all ranks, and no source written */
    if (rank == size - 1) values[2][GHOST] = 2.0;
    EXPECT(mt_step(handle, 1, &block, dt) == MT_ERROR_UNPHYSICAL);
    EXPECT(mt_last_error(words, sizeof words) && strstr(words, "electron_fraction in cell"));
    values[2][GHOST] = 0.2;
    if (rank == 0) block.shape[0] += 1;
    EXPECT(mt_step(handle, 1, &block, dt) == MT_ERROR_UNPHYSICAL);
    if (rank == 0) block.shape[0] -= 1;
    block.stride[MT_TEMPERATURE][0] = 0;
    EXPECT(mt_step(handle, 1, &block, dt) == MT_ERROR_UNPHYSICAL);
    block.stride[MT_TEMPERATURE][0] = 1;
    EXPECT(mt_step(handle, 1, &block, 1.0) == MT_ERROR_UNPHYSICAL);
    EXPECT(mt_step(handle, 2, &block, dt) == MT_ERROR_UNPHYSICAL);
    for (i = 0; i < shape[0]; ++i) EXPECT(values[4][GHOST + i] == first[GHOST + i]);

    /* back in memory: the same step again, bit by bit */
    EXPECT(mt_restore(handle, NULL) == MT_ERROR_CONFIGURATION);
    EXPECT(mt_checkpoint(handle, NULL) == MT_OK);
    EXPECT(mt_step(handle, 1, &block, dt) == MT_OK);
    memcpy(first, values[4], sizeof first);
    EXPECT(mt_restore(handle, "") == MT_OK);
    EXPECT(mt_step(handle, 1, &block, dt) == MT_OK);
    for (same = 1, i = 0; i < shape[0]; ++i) same &= first[GHOST + i] == values[4][GHOST + i];
    EXPECT(same);
    EXPECT(mt_restore(handle, "nowhere.h5") == MT_ERROR_FILE);
    EXPECT(mt_solve_steady(handle, 1, &block) == MT_OK);
    EXPECT(mt_step_implicit(handle, 1, &block, 10.0 * dt) == MT_OK);

    i = mt_diagnostics(handle, 1);
    EXPECT(i > 10);
    EXPECT(mt_diagnostic(handle, "alignment cells", &number) == MT_OK && number == CELLS);
    EXPECT(mt_diagnostic(handle, "coupling values routed", &number) == MT_OK && number == 0.0);
    EXPECT(mt_diagnostic(handle, "nothing", &number) == MT_ERROR_CONFIGURATION);
    EXPECT(mt_diagnostic_name(handle, 0, words, sizeof words) == 4 && !strcmp(words, "time"));
    EXPECT(mt_diagnostic_name(handle, i, words, sizeof words) == MT_ERROR_CONFIGURATION);
    EXPECT(mt_diagnostic_text(handle, words, sizeof words) >= 0);

    /* the same shells each in two, then back, and blocks that rank 0 alone holds */
    for (i = 0; i <= 2 * CELLS; ++i) faces[i] = i * 2.5e5;
    cells[0] = 2 * CELLS;
    EXPECT(mt_regrid(handle, MT_RADIAL, cells, faces, NULL, NULL, MT_OWN_CUT, NULL, NULL) == MT_OK);
    EXPECT(mt_max_dt(handle, &number) == MT_OK && fabs(number / dt - 0.5) < 1e-12);
    for (i = 0; i <= CELLS; ++i) faces[i] = i * 5.0e5;
    cells[0] = CELLS;
    lower[0] = lower[1] = lower[2] = 0;
    shape[0] = CELLS;
    EXPECT(mt_regrid(handle, MT_RADIAL, cells, faces, NULL, NULL, rank == 0, lower, shape) == MT_OK);
    fill(values, &block, 0, CELLS);
    EXPECT(mt_step(handle, rank == 0, &block, dt) == MT_OK);
    if (rank == 0)
        for (i = 0; i < CELLS; ++i) EXPECT(isfinite(values[4][GHOST + i]));
    EXPECT(mt_diagnostics(handle, 0) > 10);
    EXPECT(mt_diagnostic(handle, "coupling values routed", &number) == MT_OK && (number > 0.0) == (size > 1));
    EXPECT(mt_diagnostic(handle, "coupling regrids", &number) == MT_OK && number == 2.0);

    EXPECT(mt_finalize(handle) == MT_OK);
    EXPECT(mt_finalize(handle) == MT_ERROR_HANDLE);
}

int main(int argc, char **argv)
{
    int rank, size, all;
    MPI_Comm part;
    EXPECT(mt_abi_version() == MT_ABI_VERSION);
    EXPECT(mt_init(0, NULL) == MT_ERROR_CONFIGURATION);
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    MPI_Comm_split(MPI_COMM_WORLD, size == 1 || rank > 0, rank, &part);
    if (size == 1 || rank > 0) use(part);
    MPI_Comm_free(&part);
    MPI_Allreduce(&wrong, &all, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
    MPI_Finalize();
    if (rank == 0 && !all) printf("all as expected\n");
    return all;
}
