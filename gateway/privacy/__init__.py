"""Sensitivities, discrete noise, margins, and the shown form of a statistic (promise P4)."""
