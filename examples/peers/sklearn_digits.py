"""Handwritten digits in a pipeline of scikit-learn: principal components as features, without fastnorm and with it."""

import argparse
from timeit import repeat

from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from fastnorm.sklearn import Whitener


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="time three calls instead of twenty")
    rounds = 3 if parser.parse_args().quick else 20

    x, y = load_digits(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=0, stratify=y)
    for step in (PCA(40, whiten=True), Whitener(40)):
        model = make_pipeline(step, LogisticRegression(max_iter=1000))
        accuracy = model.fit(x_train, y_train).score(x_test, y_test)
        fit, transform = (
            1e3 * min(repeat(call, number=1, repeat=rounds))
            for call in (lambda step=step: step.fit(x_train), lambda step=step: step.transform(x_test))
        )
        print(f"{step!s:24} accuracy {accuracy:.3f}, fit {fit:.2f} ms, transform {transform:.2f} ms")


if __name__ == "__main__":
    main()
