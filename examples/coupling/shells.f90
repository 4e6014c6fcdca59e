! A toy host in Fortran: a hot ball of gas in spherical symmetry that expands, with a donor-cell scheme and neutrinos.
!
!     shells [host steps]
!
! Every rank holds a range of shells with two layers of ghost cells on both sides, more of them on the first ranks (not
! the cut of the transport). Any number of ranks gives the same star. The equation of state is a toy (ideal nucleons,
! photons, massless pairs); there is no gravity.
program shells
    use, intrinsic :: iso_fortran_env, only: error_unit
    use, intrinsic :: iso_c_binding, only: c_double, c_int, c_int64_t, c_null_char
    use mpi
    use misci_transport
    implicit none

    integer, parameter :: dp = c_double, cells = 48, ghost = 2
    real(dp), parameter :: pi = 3.14159265358979323846_dp, nucleon = 1.66053906660e-24_dp, erg = 1.602176634e-6_dp
    real(dp), parameter :: hbar_c = 1.973269804e-11_dp, radiation = 11 * pi**2 / 60 / hbar_c**3, outer = 1.0e7_dp
    character(len=*), parameter :: line = new_line('a'), configuration = &
        '[angles]' // line // 'kind = "ordinates"' // line // 'directions = 4' // line // &
        '[energy]' // line // 'minimum = 4.0' // line // 'maximum = 100.0' // line // 'groups = 4' // line

    ! density, momentum, energy of motion and heat, leptons times the mass of a nucleon; per volume
    integer, parameter :: mass = 1, momentum = 2, energy = 3, leptons = 4
    real(dp) :: faces(0:cells)
    real(dp), allocatable :: u(:, :)
    ! what the transport reads and writes: one array, of which it gets sections
    real(dp), allocatable, target :: matter(:, :)
    type(mt_block) :: block(1)
    integer :: rank, ranks, error, handle, first, last, step, steps, i, part
    integer(c_int64_t) :: lower(3, 1), extent(3, 1)
    real(dp) :: dt, limit, left, time, gained, electrons
    real(dp) :: whole(cells, 3), ledger
    character(len=32) :: argument

    call MPI_Init(error)
    call MPI_Comm_rank(MPI_COMM_WORLD, rank, error)
    call MPI_Comm_size(MPI_COMM_WORLD, ranks, error)
    steps = 3
    if (command_argument_count() > 0) then
        call get_command_argument(1, argument)
        read (argument, *) steps
    end if
    if (mt_abi_version() /= MT_ABI) error stop 'the library has another version than its module'

    ! the host's own cut: ranks hold shells in the ratio ranks : ranks - 1 : ... : 1
    first = cut(rank) + 1
    last = cut(rank + 1)
    faces = [(outer * (real(i, dp) / cells), i=0, cells)]
    allocate (u(4, first - ghost:last + ghost), matter(8, first - ghost:last + ghost))
    matter = 0
    call begin()

    handle = mt_init(MPI_COMM_WORLD, configuration // c_null_char)
    call check(handle)
    lower(:, 1) = [first - 1, 0, 0]
    extent(:, 1) = [last - first + 1, 1, 1]
    call check(mt_mesh(handle, MT_RADIAL, [int(cells, c_int64_t), 1_c_int64_t, 1_c_int64_t], faces, faces, faces, &
        1_c_int, lower, extent))
    call mt_put(block(1), MT_MASS_DENSITY, matter(1, :), ghost)
    call mt_put(block(1), MT_TEMPERATURE, matter(2, :), ghost)
    call mt_put(block(1), MT_ELECTRON_FRACTION, matter(3, :), ghost)
    call mt_put(block(1), MT_VELOCITY_1, matter(4, :), ghost)
    call mt_put(block(1), MT_ENERGY_SOURCE, matter(5, :), ghost)
    call mt_put(block(1), MT_LEPTON_SOURCE, matter(6, :), ghost)
    call mt_put(block(1), MT_MOMENTUM_SOURCE_1, matter(7, :), ghost)

    ! neutrinos that fit the star, instead of an empty one
    call describe()
    call check(mt_solve_steady(handle, 1_c_int, block))

    gained = 0
    electrons = 0
    time = 0
    do step = 1, steps
        ! the hydrodynamics' step, divided into equal steps of the transport over the same matter
        call describe()
        dt = host_step()
        call check(mt_max_dt(handle, limit))
        part = ceiling(dt / limit * (1 - 1.0e-12_dp))
        left = dt / part
        do i = 1, part
            call check(mt_step(handle, 1_c_int, block, left))
            call heat(left)
        end do
        call advance(dt)
        time = time + dt
    end do

    call describe()
    call check(mt_checkpoint(handle, '' // c_null_char))
    error = mt_diagnostics(handle, 1_c_int)
    call check(error)
    call check(mt_diagnostic(handle, 'ledger collisions energy' // c_null_char, ledger))
    whole = 0
    do i = first, last
        whole(i, :) = [matter(2, i), matter(3, i), matter(4, i)]
    end do
    call MPI_Allreduce(MPI_IN_PLACE, whole, size(whole), MPI_DOUBLE_PRECISION, MPI_SUM, MPI_COMM_WORLD, error)
    call MPI_Allreduce(MPI_IN_PLACE, gained, 1, MPI_DOUBLE_PRECISION, MPI_SUM, MPI_COMM_WORLD, error)
    call MPI_Allreduce(MPI_IN_PLACE, electrons, 1, MPI_DOUBLE_PRECISION, MPI_SUM, MPI_COMM_WORLD, error)
    if (rank == 0) then
        print '(i0, a, es18.10, a)', steps, ' steps to ', time, ' s'
        do i = 1, cells, 6
            print '(f9.3, a, f16.10, a, f14.10, es18.8, a)', 0.5_dp * (faces(i - 1) + faces(i)) / 1.0e5_dp, ' km ', &
                whole(i, 1), ' MeV', whole(i, 2), whole(i, 3), ' cm/s'
        end do
        print '(a, es18.10, a)', 'energy given to matter       ', gained, ' erg'
        print '(a, es18.10, a)', 'of the ledger of neutrinos   ', -erg * ledger, ' erg'
        print '(a, es18.10)', 'electrons given to matter    ', electrons
    end if
    call check(mt_finalize(handle))
    call MPI_Finalize(error)

contains

    integer function cut(before)
        integer, intent(in) :: before

        ! shells of the ranks before this one
        cut = (cells * (before * ranks - before * (before - 1) / 2)) / (ranks * (ranks + 1) / 2)
    end function cut

    subroutine check(status)
        integer(c_int), intent(in) :: status

        if (status >= 0) return
        write (error_unit, '(a, i0, 2a)') 'status ', status, ': ', mt_error_text()
        call MPI_Abort(MPI_COMM_WORLD, 1, error)
    end subroutine check

    real(dp) function volume(cell)
        integer, intent(in) :: cell

        volume = 4 * pi / 3 * (faces(cell)**3 - faces(cell - 1)**3)
    end function volume

    subroutine begin()
        real(dp) :: x, density
        integer :: cell

        do cell = first, last
            x = 0.5_dp * (faces(cell - 1) + faces(cell)) / 3.0e6_dp
            density = 1.0e13_dp * exp(-x**2) + 1.0e10_dp
            u(mass, cell) = density
            u(momentum, cell) = 0
            u(energy, cell) = heat_of(density, 1.5_dp + 8 * exp(-x**2))
            u(leptons, cell) = density * (0.15_dp + 0.2_dp * x**2 / (1 + x**2))
        end do
    end subroutine begin

    real(dp) function heat_of(density, t)
        real(dp), intent(in) :: density, t

        heat_of = erg * (1.5_dp * density / nucleon * t + radiation * t**4)
    end function heat_of

    real(dp) function temperature(density, heat)
        real(dp), intent(in) :: density, heat
        integer :: turn

        temperature = (heat / erg / radiation)**0.25_dp
        do turn = 1, 60
            temperature = temperature - (heat_of(density, temperature) - heat) / erg &
                / (1.5_dp * density / nucleon + 4 * radiation * temperature**3)
        end do
    end function temperature

    ! Temperature, electron fraction and velocity of the host's variables.
    subroutine describe()
        integer :: cell

        do cell = first, last
            matter(1, cell) = u(mass, cell)
            matter(4, cell) = u(momentum, cell) / u(mass, cell)
            matter(2, cell) = temperature(u(mass, cell), u(energy, cell) - 0.5_dp * u(momentum, cell) * matter(4, cell))
            matter(3, cell) = u(leptons, cell) / u(mass, cell)
        end do
    end subroutine describe

    subroutine heat(step_length)
        real(dp), intent(in) :: step_length
        integer :: cell

        do cell = first, last
            u(energy, cell) = u(energy, cell) + step_length * (matter(5, cell) + matter(4, cell) * matter(7, cell))
            u(momentum, cell) = u(momentum, cell) + step_length * matter(7, cell)
            u(leptons, cell) = u(leptons, cell) + step_length * nucleon * matter(6, cell)
            gained = gained + step_length * volume(cell) * matter(5, cell)
            electrons = electrons + step_length * volume(cell) * matter(6, cell)
        end do
    end subroutine heat

    real(dp) function pressure(cell)
        integer, intent(in) :: cell

        ! between that of a gas and of radiation: one third of the heat
        pressure = (u(energy, cell) - 0.5_dp * u(momentum, cell)**2 / u(mass, cell)) / 3
    end function pressure

    real(dp) function speed(cell)
        integer, intent(in) :: cell

        speed = abs(u(momentum, cell) / u(mass, cell)) + sqrt(4 * pressure(cell) / (3 * u(mass, cell)))
    end function speed

    real(dp) function host_step()
        integer :: cell
        real(dp) :: fastest

        fastest = 0
        do cell = first, last
            fastest = max(fastest, speed(cell) / (faces(cell) - faces(cell - 1)))
        end do
        call MPI_Allreduce(MPI_IN_PLACE, fastest, 1, MPI_DOUBLE_PRECISION, MPI_MAX, MPI_COMM_WORLD, error)
        host_step = 0.3_dp / fastest
    end function host_step

    ! Ghost shells of the neighbours; a mirror at the centre, the last shell again outside.
    subroutine exchange()
        integer :: below, above, layer
        real(dp) :: up(4, ghost), down(4, ghost), from_below(4, ghost), from_above(4, ghost)

        below = merge(rank - 1, MPI_PROC_NULL, rank > 0)
        above = merge(rank + 1, MPI_PROC_NULL, rank < ranks - 1)
        up = u(:, last - ghost + 1:last)
        down = u(:, first:first + ghost - 1)
        call MPI_Sendrecv(up, size(up), MPI_DOUBLE_PRECISION, above, 1, from_below, size(up), MPI_DOUBLE_PRECISION, &
            below, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE, error)
        call MPI_Sendrecv(down, size(down), MPI_DOUBLE_PRECISION, below, 2, from_above, size(down), &
            MPI_DOUBLE_PRECISION, above, 2, MPI_COMM_WORLD, MPI_STATUS_IGNORE, error)
        do layer = 1, ghost
            if (rank > 0) then
                u(:, first - ghost - 1 + layer) = from_below(:, layer)
            else
                u(:, first - layer) = u(:, first + layer - 1)
                u(momentum, first - layer) = -u(momentum, first - layer)
            end if
            u(:, last + layer) = merge(from_above(:, layer), u(:, last), rank < ranks - 1)
        end do
    end subroutine exchange

    ! One step of the local Lax-Friedrichs scheme.
    subroutine advance(step_length)
        real(dp), intent(in) :: step_length
        real(dp) :: flux(4, first - 1:last), push(first - 1:last), fastest
        integer :: face, cell

        call exchange()
        do face = first - 1, last
            fastest = max(speed(face), speed(face + 1))
            flux(:, face) = 0.5_dp * (u(:, face) * (u(momentum, face) / u(mass, face)) &
                + u(:, face + 1) * (u(momentum, face + 1) / u(mass, face + 1)) - fastest * (u(:, face + 1) - u(:, face)))
            flux(energy, face) = flux(energy, face) + 0.5_dp * (pressure(face) * u(momentum, face) / u(mass, face) &
                + pressure(face + 1) * u(momentum, face + 1) / u(mass, face + 1))
            push(face) = 0.5_dp * (pressure(face) + pressure(face + 1))
        end do
        do cell = first, last
            u(:, cell) = u(:, cell) - step_length / volume(cell) * 4 * pi &
                * (faces(cell)**2 * flux(:, cell) - faces(cell - 1)**2 * flux(:, cell - 1))
            ! the gradient of pressure, not its divergence
            u(momentum, cell) = u(momentum, cell) &
                - step_length * (push(cell) - push(cell - 1)) / (faces(cell) - faces(cell - 1))
        end do
    end subroutine advance
end program shells
