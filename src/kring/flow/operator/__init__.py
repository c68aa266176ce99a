"""The operator's judgement: `fold(state, events, now) → (state, commands)`, pure.

Reads the events of one system, adds the next state and what is to be done about it, a file for each domain,
refuses to look at a clock, a file or a ledger.
"""
