"""What a linear model a task reaches on reviews: tf-idf of words (English, beside sentence vectors) or of characters (Chinese), logistic regression."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from banyan import metrics
from banyan.types import Array

ROUNDS = 300  # of the logistic regression
STRENGTH = 3.0  # its inverse regularisation


def found(
    texts: Mapping[str, Sequence[str]], tasks: Mapping[str, tuple[str, Array, Array]], meaning: Array, tell: Callable[[str], None]
) -> dict[str, dict[str, float]]:
    """Task -> figure -> value on the held-out rows. `tasks`: task -> (language, labels, held out); `meaning`: sentence vectors of the English texts."""
    result = {}
    for language in texts:
        held = next(held for name, _, held in tasks.values() if name == language)
        inputs = _inputs(language, texts[language], held, meaning)
        for task, (name, labels, _) in tasks.items():
            if name == language:
                seen = np.array([each is not None and each == each for each in labels])
                result[task] = _task(task, inputs, labels, seen & ~held, seen & held)
                tell(f"linear {task}: {result[task]}")
    return result


def _inputs(language: str, texts: Sequence[str], held: Array, meaning: Array) -> Any:
    from scipy import sparse
    from sklearn.feature_extraction.text import TfidfVectorizer

    way = {"ngram_range": (1, 2), "min_df": 2} if language == "english" else {"analyzer": "char", "ngram_range": (1, 3), "min_df": 3}
    vectorizer = TfidfVectorizer(sublinear_tf=True, **way)
    vectorizer.fit([text for text, out in zip(texts, held, strict=True) if not out])
    words = vectorizer.transform(texts)
    return sparse.hstack([words, sparse.csr_array(meaning)]).tocsr() if language == "english" else words


def _task(task: str, inputs: Any, labels: Array, train: Array, test: Array) -> dict[str, float]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the rounds are what it gets
        model = LogisticRegression(C=STRENGTH, max_iter=ROUNDS).fit(inputs[train], labels[train])
    chances, truth = model.predict_proba(inputs[test]), labels[test]
    answers = {"accuracy": float((model.classes_[chances.argmax(1)] == truth).mean())}
    if len(model.classes_) == 2:
        answers["auc"] = metrics.auc(chances[:, 1], (truth == model.classes_[1]).astype(float))
    if task == "rating":
        answers["rmse"] = float(np.sqrt(np.mean((chances @ model.classes_.astype(float) - truth.astype(float)) ** 2)))
    return answers
