"""Fit a model to a small data set and draw how well it does. Usage: fit_sklearn.py PLOT.png"""

import sys

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd
import sklearn
from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import train_test_split

data = load_diabetes(as_frame=True)
features, held_out, progress, actual = train_test_split(data.data, data.target, random_state=0)
model = RandomForestRegressor(n_estimators=50, random_state=0).fit(features, progress)
results = pd.DataFrame({"actual": actual, "predicted": model.predict(held_out)})

figure, axes = plt.subplots(figsize=(5, 5))
axes.scatter(results.actual, results.predicted, s=12)
score = model.score(held_out, actual)
axes.set(xlabel="actual progression", ylabel="predicted", title=f"R² = {score:.2f}")
figure.savefig(sys.argv[1], dpi=120)
print(
    f"scikit-learn {sklearn.__version__}, pandas {pd.__version__}: R² = {model.score(held_out, actual):.2f}"
)
