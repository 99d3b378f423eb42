"""A question and a permit become a plan: what to fetch, how to protect it, what it costs.

Pure: nothing here sees data, so neither a price nor a refusal can tell anything about a person (P5).
"""
