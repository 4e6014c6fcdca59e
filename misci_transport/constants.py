"""Physical constants in the units of this package: cm, g, s, MeV.

Values: CODATA 2018 (P. J. Mohr et al.) and the Particle Data Group 2024 review, except where noted.
"""

from __future__ import annotations

from math import pi, sqrt

SPEED_OF_LIGHT = 2.99792458e10  #: cm / s
HBAR_C = 1.973269804e-11  #: MeV cm
ERG_PER_MEV = 1.602176634e-6
KELVIN_PER_MEV = 1.160451812e10
FERMI_CONSTANT = 1.1663788e-11  #: G_F / (hbar c)^3 in MeV^-2
ELECTRON_MASS = 0.51099895  #: MeV
NEUTRON_PROTON_MASS_DIFFERENCE = 1.29333236  #: MeV
NUCLEON_MASS = 938.91875  #: MeV, mean of neutron and proton
NEUTRON_MASS = 939.56542052  #: MeV
PROTON_MASS = 938.27208816  #: MeV
ATOMIC_MASS_UNIT = 1.66053906660e-24  #: g; number of baryons = mass density / this
SOLAR_MASS = 1.98841e33  #: g
AXIAL_COUPLING = 1.26  #: g_A as in the rates of Bruenn 1985 and in the comparison of Liebendoerfer et al. 2005
WEAK_MIXING = 0.23  #: sin^2(theta_W), as in the same comparison

#: sqrt(2) G_F hbar^2 c^2 in cm^2: times a number density (cm^-3) this is a potential in cm^-1.
FERMI_POTENTIAL = sqrt(2.0) * FERMI_CONSTANT * HBAR_C**2

#: States per volume and per E^2 dE d(mu) of one neutrino helicity, after the azimuth integral:
#: n = PHASE_SPACE * integral(E^2 dE dmu f), in MeV^-3 cm^-3.
PHASE_SPACE = 1.0 / (4.0 * pi**2 * HBAR_C**3)

EV2_TO_MEV2 = 1.0e-12
