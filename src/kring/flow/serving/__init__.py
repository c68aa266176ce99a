"""`kring serve`: a supervisor, data workers, and the processes beside them.

Reads systems as projects on the heavy side (`publish`, `control`), hands the workers one plain record of each, and
refuses to import anything heavy on the light side (`opening`, `worker`).
"""
