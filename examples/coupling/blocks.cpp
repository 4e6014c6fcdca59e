// A toy host in C++: a hot ball of matter on Cartesian blocks in the plane, turning slowly, heated and cooled by neutrinos.
//
//     blocks [cells along each axis] [host steps] [1: own cut of the transport, no copies through messages]
//
// Blocks of 8 x 8 cells are dealt out to the ranks in turn, so that a rank holds several that do not lie together. A block
// is one array with all variables of a cell side by side and two layers of ghost cells. Any number of ranks gives the
// same ball. The equation of state is a toy (ideal nucleons, photons, massless pairs).
#include <mpi.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "misci_transport.h"

namespace {

const double NUCLEON = 1.66053906660e-24, ERG = 1.602176634e-6, HBAR_C = 1.973269804e-11, PI = 3.14159265358979323846;
const double RADIATION = 11.0 * PI * PI / 60.0 / (HBAR_C * HBAR_C * HBAR_C);  // MeV cm^-3 MeV^-4
const double HALF_WIDTH = 6.0e6;                                              // cm
const int GHOST = 2;
int SIZE = 8;

enum Variable { DENSITY, LEPTONS, ENERGY, TEMPERATURE, FRACTION, VX, VY, HEATING, LEPTON_GAIN, FORCE_X, FORCE_Y, VARIABLES };

const char *CONFIGURATION =
    "[angles]\nkind = \"product\"\nlevels = 2\nazimuths = 8\n"
    "[energy]\nminimum = 4.0\nmaximum = 100.0\ngroups = 4\n";

struct Block {
    int i0, j0, nx, ny;  // first cell in the mesh, cells
    std::vector<double> values;

    Block(int i, int j, int x, int y)
        : i0(i), j0(j), nx(x), ny(y), values(size_t(x + 2 * GHOST) * (y + 2 * GHOST) * VARIABLES, 0.0) {}
    // i, j count from the first cell that is no ghost
    double &at(int i, int j, int v) { return values[(size_t(j + GHOST) * (nx + 2 * GHOST) + i + GHOST) * VARIABLES + v]; }
};

void check(int status) {
    if (status >= 0) return;
    char words[1000];
    mt_last_error(words, sizeof words);
    std::fprintf(stderr, "status %d: %s\n", status, words);
    MPI_Abort(MPI_COMM_WORLD, 1);
}

double energy_density(double density, double t) { return ERG * (1.5 * density / NUCLEON * t + RADIATION * t * t * t * t); }

double temperature(double density, double energy) {
    double t = std::pow(energy / ERG / RADIATION, 0.25);  // above the root, where Newton's method is monotonic
    for (int turn = 0; turn < 60; ++turn)
        t -= (energy_density(density, t) - energy) / ERG / (1.5 * density / NUCLEON + 4.0 * RADIATION * t * t * t);
    return t;
}

struct Host {
    int cells;
    double width;
    std::vector<Block> blocks;
    std::vector<double> whole;  // all cells of a variable, for ghosts

    double center(int i) const { return -HALF_WIDTH + (i + 0.5) * width; }

    void begin() {
        for (Block &b : blocks)
            for (int j = 0; j < b.ny; ++j)
                for (int i = 0; i < b.nx; ++i) {
                    const double x = center(b.i0 + i) / 2.0e6, y = center(b.j0 + j) / 2.5e6, s = x * x + y * y;
                    const double density = 1.0e13 * std::exp(-s) + 1.0e10;
                    b.at(i, j, DENSITY) = density;
                    b.at(i, j, LEPTONS) = density * (0.15 + 0.2 * s / (1.0 + s));
                    b.at(i, j, ENERGY) = energy_density(density, 1.5 + 8.0 * std::exp(-s));
                    b.at(i, j, VX) = -3.0e2 * center(b.j0 + j);  // cm/s: turns 300 radians in a second
                    b.at(i, j, VY) = 3.0e2 * center(b.i0 + i);
                }
        update();
    }

    void update() {
        for (Block &b : blocks)
            for (int j = 0; j < b.ny; ++j)
                for (int i = 0; i < b.nx; ++i) {
                    b.at(i, j, TEMPERATURE) = temperature(b.at(i, j, DENSITY), b.at(i, j, ENERGY));
                    b.at(i, j, FRACTION) = b.at(i, j, LEPTONS) / b.at(i, j, DENSITY);
                }
    }

    // A toy's exchange: every rank learns the whole mesh.
    void gather(int variable) {
        std::fill(whole.begin(), whole.end(), 0.0);
        for (Block &b : blocks)
            for (int j = 0; j < b.ny; ++j)
                for (int i = 0; i < b.nx; ++i) whole[size_t(b.j0 + j) * cells + b.i0 + i] = b.at(i, j, variable);
        MPI_Allreduce(MPI_IN_PLACE, whole.data(), int(whole.size()), MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    }

    void fill_ghosts(int variable) {
        gather(variable);
        for (Block &b : blocks)
            for (int j = -GHOST; j < b.ny + GHOST; ++j)
                for (int i = -GHOST; i < b.nx + GHOST; ++i) {
                    const int x = std::min(std::max(b.i0 + i, 0), cells - 1), y = std::min(std::max(b.j0 + j, 0), cells - 1);
                    b.at(i, j, variable) = whole[size_t(y) * cells + x];
                }
    }

    // Donor cells along x and y: nothing passes the walls.
    void advect(double dt) {
        for (int v = DENSITY; v <= ENERGY; ++v) fill_ghosts(v);
        for (Block &b : blocks) {
            Block old = b;
            for (int j = 0; j < b.ny; ++j)
                for (int i = 0; i < b.nx; ++i)
                    for (int v = DENSITY; v <= ENERGY; ++v) {
                        double change = 0.0;
                        for (int side = 0; side < 2; ++side) {
                            const int gi = b.i0 + i + side, gj = b.j0 + j + side, sign = side ? -1 : 1;
                            const double vx = gi == 0 || gi == cells ? 0.0 : b.at(i, j, VX);
                            const double vy = gj == 0 || gj == cells ? 0.0 : b.at(i, j, VY);
                            change += sign * vx * old.at(i + side - (vx > 0.0 ? 1 : 0), j, v);
                            change += sign * vy * old.at(i, j + side - (vy > 0.0 ? 1 : 0), v);
                        }
                        b.at(i, j, v) += dt / width * change;
                    }
        }
    }

    void heat(double dt) {
        for (Block &b : blocks)
            for (int j = 0; j < b.ny; ++j)
                for (int i = 0; i < b.nx; ++i) {
                    b.at(i, j, ENERGY) += dt * b.at(i, j, HEATING);
                    b.at(i, j, LEPTONS) += dt * NUCLEON * b.at(i, j, LEPTON_GAIN);
                }
    }

    double total(int variable) {
        gather(variable);
        double sum = 0.0;
        for (double value : whole) sum += value;
        return sum * width * width;  // of a slab of 1 cm
    }
};

// What the library is told of the blocks: pointers to the arrays and how to walk in them.
std::vector<mt_block> described(std::vector<Block> &blocks) {
    const int fields[][2] = {{MT_MASS_DENSITY, DENSITY},     {MT_TEMPERATURE, TEMPERATURE}, {MT_ELECTRON_FRACTION, FRACTION},
                             {MT_VELOCITY_1, VX},            {MT_VELOCITY_2, VY},           {MT_ENERGY_SOURCE, HEATING},
                             {MT_LEPTON_SOURCE, LEPTON_GAIN}, {MT_MOMENTUM_SOURCE_1, FORCE_X}, {MT_MOMENTUM_SOURCE_2, FORCE_Y}};
    std::vector<mt_block> found;
    for (Block &b : blocks) {
        mt_block block = mt_block();
        for (const auto &field : fields) {
            block.data[field[0]] = &b.values[field[1]];
            block.stride[field[0]][0] = VARIABLES;
            block.stride[field[0]][1] = int64_t(VARIABLES) * (b.nx + 2 * GHOST);
        }
        block.shape[0] = b.nx, block.shape[1] = b.ny, block.shape[2] = 1;
        block.ghost[0] = block.ghost[1] = GHOST;
        found.push_back(block);
    }
    return found;
}

double diagnostic(int handle, const char *name) {
    double value = 0.0;
    check(mt_diagnostic(handle, name, &value));
    return value;
}

}  // namespace

int main(int argc, char **argv) {
    MPI_Init(&argc, &argv);
    int rank, ranks;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    Host host;
    host.cells = argc > 1 ? std::atoi(argv[1]) : 16;
    const int steps = argc > 2 ? std::atoi(argv[2]) : 3;
    const bool own_cut = argc > 3 && std::atoi(argv[3]) == 1;
    host.width = 2.0 * HALF_WIDTH / host.cells;
    host.whole.resize(size_t(host.cells) * host.cells);

    if (mt_abi_version() != MT_ABI_VERSION) {
        std::fprintf(stderr, "the library has another version than its header\n");
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    const int handle = mt_init(MPI_Comm_c2f(MPI_COMM_WORLD), CONFIGURATION);
    check(handle);

    // the mesh, and which parts of it are here
    std::vector<double> faces(host.cells + 1), depth = {0.0, 1.0};
    for (int i = 0; i <= host.cells; ++i) faces[i] = -HALF_WIDTH + i * host.width;
    const int64_t cells[3] = {host.cells, host.cells, 1};
    if (own_cut) {
        check(mt_mesh(handle, MT_CARTESIAN, cells, faces.data(), faces.data(), depth.data(), MT_OWN_CUT, nullptr, nullptr));
        int64_t lower[3], shape[3];
        check(mt_own_block(handle, lower, shape));
        host.blocks.push_back(Block(int(lower[0]), int(lower[1]), int(shape[0]), int(shape[1])));
    } else {
        std::vector<int64_t> lower, shape;
        int number = 0;
        for (int j = 0; j < host.cells; j += SIZE)
            for (int i = 0; i < host.cells; i += SIZE)
                if (number++ % ranks == rank) {
                    const int x = std::min(SIZE, host.cells - i), y = std::min(SIZE, host.cells - j);
                    host.blocks.push_back(Block(i, j, x, y));
                    lower.insert(lower.end(), {i, j, 0});
                    shape.insert(shape.end(), {x, y, 1});
                }
        check(mt_mesh(handle, MT_CARTESIAN, cells, faces.data(), faces.data(), depth.data(), int(host.blocks.size()),
                      lower.data(), shape.data()));
    }
    host.begin();

    double gained = 0.0, electrons = 0.0, time = 0.0, calls = 0.0, before = 0.0;
    for (int step = 0; step < steps; ++step) {
        double dt;
        check(mt_max_dt(handle, &dt));
        std::vector<mt_block> blocks = described(host.blocks);
        const double start = MPI_Wtime();
        check(mt_step(handle, int(blocks.size()), blocks.data(), dt));
        if (step > 0) {
            calls += MPI_Wtime() - start;
        } else {
            // the first step loads compiled kernels
            check(mt_diagnostics(handle, 0));
            before = diagnostic(handle, "coupling seconds of transport");
        }
        gained += dt * host.total(HEATING);
        electrons += dt * host.total(LEPTON_GAIN);
        host.heat(dt);
        host.advect(dt);
        host.update();
        time += dt;
    }

    check(mt_diagnostics(handle, 1));
    host.gather(TEMPERATURE);
    const std::vector<double> hot = host.whole;
    host.gather(FRACTION);
    if (rank == 0) {
        std::printf("%d steps to %.10e s\n", steps, time);
        for (int i = 0; i < host.cells; i += std::max(host.cells / 8, 1)) {
            const size_t n = size_t(i) * host.cells + i;
            std::printf("%9.3f km %16.10f MeV %14.10f\n", host.center(i) / 1.0e5, hot[n], host.whole[n]);
        }
        std::printf("energy given to matter       %.10e erg/cm\n", gained);
        std::printf("of the ledger of neutrinos   %.10e erg/cm\n", -ERG * diagnostic(handle, "ledger collisions energy"));
        std::printf("electrons given to matter    %.10e 1/cm\n", electrons);
        std::printf("alignment failed in          %.0f cells\n", diagnostic(handle, "alignment failed"));
        std::printf("smallest gamma               %.6e\n", diagnostic(handle, "validity smallest gamma"));
        std::printf("# values viewed %.0f, copied %.0f, routed %.0f\n", diagnostic(handle, "coupling values viewed"),
                    diagnostic(handle, "coupling values copied"), diagnostic(handle, "coupling values routed"));
        std::printf("# steps after the first: seconds of calls %.6f, of the transport in them %.6f\n", calls,
                    diagnostic(handle, "coupling seconds of transport") - before);
    }
    check(mt_finalize(handle));
    MPI_Finalize();
    return 0;
}
