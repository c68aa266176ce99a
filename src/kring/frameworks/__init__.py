"""What fits candidates and exports them as ONNX: one file per library, all with the functions of `ports.framework`.

Reads estimators and prepared batches, adds fitted estimators and their ONNX bytes. It refuses
what can't be fitted, what can't be exported, and what answers otherwise once it is exported.
"""
