"""Fit a small network to a curve and draw it. Usage: fit_torch.py PLOT.png"""

import sys

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd
import torch

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
x = torch.linspace(-3, 3, 256, device=device).unsqueeze(1)
y = torch.sin(2 * x) + 0.1 * torch.randn_like(x)
model = torch.nn.Sequential(torch.nn.Linear(1, 64), torch.nn.Tanh(), torch.nn.Linear(64, 1)).to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
losses = []
for _ in range(500):
    loss = torch.nn.functional.mse_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

curve = pd.DataFrame(
    {"x": x.cpu().squeeze(), "y": y.cpu().squeeze(), "fit": model(x).detach().cpu().squeeze()}
)
figure, axes = plt.subplots(figsize=(6, 4))
axes.scatter(curve.x, curve.y, s=6)
axes.plot(curve.x, curve.fit, color="tab:red")
axes.set(title=f"loss {losses[0]:.2f} → {losses[-1]:.3f}")
figure.savefig(sys.argv[1], dpi=120)
print(f"torch {torch.__version__} on {device}: loss {losses[0]:.2f} → {losses[-1]:.3f}")
