"""Measures of validity: how far a state is from where the theory of local mixing equilibrium holds."""
