"""How a question finds its passage: words, passages, ranking, the sentences that are quoted.

Pure: reads documents and questions as texts, adds passages, scores and extracts, refuses nothing that is a
text. Where passages are stored is a matter of `kring.indexes`.
"""
