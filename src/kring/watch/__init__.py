"""Watch: what a live version does and whether it is still good enough.

Reads decisions, outcomes and the counts of windows. Adds merged windows and breaches, each with its value,
interval, limit and since when. Refuses to say anything, alarm or all-clear, on too little.
"""
