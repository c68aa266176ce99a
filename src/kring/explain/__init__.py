"""Why one decision came out as it did.

Reads a version's own answers, the background it carries and the contract's words; adds what each column did to the
output, and reasons in the business's words. Refuses to speak of a row whose answer it can't give again, and keeps no
personal value. Shapley values import nothing heavy; LIME needs the extra `explain`.
"""
