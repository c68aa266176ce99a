"""A candidate of one's own: any scikit-learn estimator that takes a frame of prepared columns."""

from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline


def forest(spec):
    """Return an unfitted estimator; Kring splits, seeds, fits, exports and proves it."""
    return make_pipeline(
        SimpleImputer(strategy="median"),
        RandomForestClassifier(n_estimators=40, min_samples_leaf=200, random_state=spec.seed, n_jobs=1),
    )
