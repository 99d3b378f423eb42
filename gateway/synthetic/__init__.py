"""Invented people of Vietnam, for the demo and for tests: nobody in here exists.

Everything is a function of a seed: the same seed gives the same table, bit for bit. Fields depend
on one another as they do among people (income on education, education on age and province), and
identifiers have valid shapes, so that masks and statistics meet what they would meet in earnest.
"""
