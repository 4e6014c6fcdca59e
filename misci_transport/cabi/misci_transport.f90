! Neutrino transport in local mixing equilibrium for hosts in Fortran: compile this file with the host's compiler and
! link with -lmisci_transport.  Units, frames and rules are those of misci_transport.h.  MT_ABI is its MT_ABI_VERSION.
module misci_transport
    use, intrinsic :: iso_c_binding, only: c_char, c_double, c_int, c_int64_t, c_intptr_t, c_loc, c_null_char, &
        c_null_ptr, c_ptr
    implicit none
    private :: c_char, c_double, c_int, c_int64_t, c_intptr_t, c_loc, c_null_char, c_null_ptr, c_ptr
    private :: address, put_1, put_2, put_3

    integer(c_int), parameter :: MT_ABI = 1, MT_FIELDS = 21, MT_OWN_CUT = -1
    integer(c_int), parameter :: MT_OK = 0
    integer(c_int), parameter :: MT_ERROR_CONFIGURATION = -1
    integer(c_int), parameter :: MT_ERROR_UNPHYSICAL = -2
    integer(c_int), parameter :: MT_ERROR_TABLE = -3
    integer(c_int), parameter :: MT_ERROR_CONVERGENCE = -4
    integer(c_int), parameter :: MT_ERROR_FILE = -5
    integer(c_int), parameter :: MT_ERROR_DEPENDENCY = -6
    integer(c_int), parameter :: MT_ERROR_HANDLE = -7
    integer(c_int), parameter :: MT_ERROR_PYTHON = -8
    integer(c_int), parameter :: MT_ERROR_INTERNAL = -9
    integer(c_int), parameter :: MT_RADIAL = 0
    integer(c_int), parameter :: MT_PLANE = 1
    integer(c_int), parameter :: MT_CARTESIAN = 2
    integer(c_int), parameter :: MT_SPHERICAL = 3
    integer(c_int), parameter :: MT_MASS_DENSITY = 0
    integer(c_int), parameter :: MT_TEMPERATURE = 1
    integer(c_int), parameter :: MT_ELECTRON_FRACTION = 2
    integer(c_int), parameter :: MT_VELOCITY_1 = 3
    integer(c_int), parameter :: MT_VELOCITY_2 = 4
    integer(c_int), parameter :: MT_VELOCITY_3 = 5
    integer(c_int), parameter :: MT_NEUTRON_FRACTION = 6
    integer(c_int), parameter :: MT_PROTON_FRACTION = 7
    integer(c_int), parameter :: MT_ALPHA_FRACTION = 8
    integer(c_int), parameter :: MT_HEAVY_FRACTION = 9
    integer(c_int), parameter :: MT_HEAVY_MASS_NUMBER = 10
    integer(c_int), parameter :: MT_HEAVY_CHARGE_NUMBER = 11
    integer(c_int), parameter :: MT_ELECTRON_CHEMICAL_POTENTIAL = 12
    integer(c_int), parameter :: MT_NUCLEON_POTENTIAL_DIFFERENCE = 13
    integer(c_int), parameter :: MT_HEAT_CAPACITY = 14
    integer(c_int), parameter :: MT_ENERGY_BY_ELECTRON_FRACTION = 15
    integer(c_int), parameter :: MT_ENERGY_SOURCE = 16
    integer(c_int), parameter :: MT_LEPTON_SOURCE = 17
    integer(c_int), parameter :: MT_MOMENTUM_SOURCE_1 = 18
    integer(c_int), parameter :: MT_MOMENTUM_SOURCE_2 = 19
    integer(c_int), parameter :: MT_MOMENTUM_SOURCE_3 = 20

    ! A block of the host's cells; mt_put fills in arrays, and shape and ghost with them.
    type, bind(c) :: mt_block
        type(c_ptr) :: data(MT_FIELDS) = c_null_ptr
        integer(c_int64_t) :: stride(3, MT_FIELDS) = 0
        integer(c_int64_t) :: shape(3) = 1
        integer(c_int64_t) :: ghost(3) = 0
    end type mt_block

    ! call mt_put(block, MT_TEMPERATURE, values, ghost): an array of one to three axes, a section of another one too,
    ! with so many ghost cells at both ends of each of its axes. It must be a target, and stay where it is until the
    ! call that the block is for.
    interface mt_put
        module procedure put_1, put_2, put_3
    end interface mt_put

    interface
        integer(c_int) function mt_abi_version() bind(c)
            import :: c_int
        end function mt_abi_version

        ! comm: of mpif.h or mpi, or comm%mpi_val of mpi_f08; config: trim(text) // c_null_char
        integer(c_int) function mt_init(comm, config) bind(c)
            import :: c_int, c_char
            integer(c_int), value :: comm
            character(kind=c_char), intent(in) :: config(*)
        end function mt_init

        ! faces of axes that a radial mesh does not have: any array; lower and shape: (3, blocks), counted from 0
        integer(c_int) function mt_mesh(handle, geometry, cells, faces_1, faces_2, faces_3, blocks, lower, shape) bind(c)
            import :: c_int, c_int64_t, c_double
            integer(c_int), value :: handle, geometry, blocks
            integer(c_int64_t), intent(in) :: cells(3), lower(3, *), shape(3, *)
            real(c_double), intent(in) :: faces_1(*), faces_2(*), faces_3(*)
        end function mt_mesh

        integer(c_int) function mt_regrid(handle, geometry, cells, faces_1, faces_2, faces_3, blocks, lower, shape) bind(c)
            import :: c_int, c_int64_t, c_double
            integer(c_int), value :: handle, geometry, blocks
            integer(c_int64_t), intent(in) :: cells(3), lower(3, *), shape(3, *)
            real(c_double), intent(in) :: faces_1(*), faces_2(*), faces_3(*)
        end function mt_regrid
        integer(c_int) function mt_own_block(handle, lower, shape) bind(c)
            import :: c_int, c_int64_t
            integer(c_int), value :: handle
            integer(c_int64_t), intent(out) :: lower(3), shape(3)
        end function mt_own_block

        integer(c_int) function mt_solve_steady(handle, blocks, block) bind(c)
            import :: c_int, mt_block
            integer(c_int), value :: handle, blocks
            type(mt_block), intent(in) :: block(*)
        end function mt_solve_steady

        integer(c_int) function mt_step(handle, blocks, block, dt) bind(c)
            import :: c_int, c_double, mt_block
            integer(c_int), value :: handle, blocks
            type(mt_block), intent(in) :: block(*)
            real(c_double), value :: dt
        end function mt_step

        integer(c_int) function mt_step_implicit(handle, blocks, block, dt) bind(c)
            import :: c_int, c_double, mt_block
            integer(c_int), value :: handle, blocks
            type(mt_block), intent(in) :: block(*)
            real(c_double), value :: dt
        end function mt_step_implicit
        integer(c_int) function mt_max_dt(handle, dt) bind(c)
            import :: c_int, c_double
            integer(c_int), value :: handle
            real(c_double), intent(out) :: dt
        end function mt_max_dt

        integer(c_int) function mt_diagnostics(handle, measure) bind(c)
            import :: c_int
            integer(c_int), value :: handle, measure
        end function mt_diagnostics

        integer(c_int) function mt_diagnostic(handle, name, value) bind(c)
            import :: c_int, c_char, c_double
            integer(c_int), value :: handle
            character(kind=c_char), intent(in) :: name(*)
            real(c_double), intent(out) :: value
        end function mt_diagnostic

        integer(c_int) function mt_diagnostic_name(handle, index, buffer, size) bind(c)
            import :: c_int, c_char
            integer(c_int), value :: handle, index, size
            character(kind=c_char), intent(inout) :: buffer(*)
        end function mt_diagnostic_name

        integer(c_int) function mt_diagnostic_text(handle, buffer, size) bind(c)
            import :: c_int, c_char
            integer(c_int), value :: handle, size
            character(kind=c_char), intent(inout) :: buffer(*)
        end function mt_diagnostic_text

        integer(c_int) function mt_checkpoint(handle, path) bind(c)
            import :: c_int, c_char
            integer(c_int), value :: handle
            character(kind=c_char), intent(in) :: path(*)
        end function mt_checkpoint

        integer(c_int) function mt_restore(handle, path) bind(c)
            import :: c_int, c_char
            integer(c_int), value :: handle
            character(kind=c_char), intent(in) :: path(*)
        end function mt_restore

        integer(c_int) function mt_last_error(buffer, size) bind(c)
            import :: c_int, c_char
            integer(c_int), value :: size
            character(kind=c_char), intent(inout) :: buffer(*)
        end function mt_last_error

        integer(c_int) function mt_finalize(handle) bind(c)
            import :: c_int
            integer(c_int), value :: handle
        end function mt_finalize
    end interface

contains

    ! The words of the last error, without the 0 of C.
    function mt_error_text() result(text)
        character(len=:), allocatable :: text
        character(kind=c_char) :: buffer(4096)
        integer :: n, length

        length = min(int(mt_last_error(buffer, 4096_c_int)), 4095)
        allocate (character(len=length) :: text)
        do n = 1, length
            text(n:n) = buffer(n)
        end do
    end function mt_error_text

    subroutine put_1(block, field, values, ghost)
        type(mt_block), intent(inout) :: block
        integer(c_int), intent(in) :: field
        real(c_double), target, intent(inout) :: values(:)
        integer, intent(in) :: ghost

        block%data(field + 1) = c_loc(values(1))
        block%stride(:, field + 1) = 1
        if (size(values, 1) > 1) block%stride(1, field + 1) = (address(values(2)) - address(values(1))) / 8
        block%shape = [size(values, 1) - 2 * ghost, 1, 1]
        block%ghost = [ghost, 0, 0]
    end subroutine put_1

    subroutine put_2(block, field, values, ghost)
        type(mt_block), intent(inout) :: block
        integer(c_int), intent(in) :: field
        real(c_double), target, intent(inout) :: values(:, :)
        integer, intent(in) :: ghost

        call put_1(block, field, values(:, 1), ghost)
        if (size(values, 2) > 1) block%stride(2, field + 1) = (address(values(1, 2)) - address(values(1, 1))) / 8
        block%shape(2) = size(values, 2) - 2 * ghost
        block%ghost(2) = ghost
    end subroutine put_2

    subroutine put_3(block, field, values, ghost)
        type(mt_block), intent(inout) :: block
        integer(c_int), intent(in) :: field
        real(c_double), target, intent(inout) :: values(:, :, :)
        integer, intent(in) :: ghost

        call put_2(block, field, values(:, :, 1), ghost)
        if (size(values, 3) > 1) block%stride(3, field + 1) = (address(values(1, 1, 2)) - address(values(1, 1, 1))) / 8
        block%shape(3) = size(values, 3) - 2 * ghost
        block%ghost(3) = ghost
    end subroutine put_3

    integer(c_int64_t) function address(value)
        real(c_double), target, intent(in) :: value

        address = int(transfer(c_loc(value), 0_c_intptr_t), c_int64_t)
    end function address
end module misci_transport
