"""The transport for hosts in C, C++ and Fortran: sessions on their arrays, and a shared library around them."""
