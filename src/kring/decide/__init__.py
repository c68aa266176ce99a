"""What happens to a row before and after the model: guard, prepare, policy.

Reads raw fields as batches, adds prepared columns and the guards that fired; does no input or output.
Refuses expressions that read what is known only later. Evidence, replay and serving use the same functions.
"""
