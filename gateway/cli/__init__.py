"""The command line, one file a noun; it asks, shows and exits, and decides nothing.

Exit codes: 0 done, 1 no (a check failed, a refusal), 2 wrong use.
"""
