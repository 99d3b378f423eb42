"""``gateway demo``: the whole job on one machine, with invented people, explained on screen."""
