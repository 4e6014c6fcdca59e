"""Direct solution of the quantum kinetic equations: the reference that mixing equilibrium is judged by."""
