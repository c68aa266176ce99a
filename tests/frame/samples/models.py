"""A candidate of the sample systems; only its presence matters here."""


def forest(spec):
    raise NotImplementedError(spec)
