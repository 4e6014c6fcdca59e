"""All amplitudes of N neutrinos that interact in every pair."""
