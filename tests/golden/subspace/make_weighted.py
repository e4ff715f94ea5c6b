"""weight.safetensors and weighted.safetensors: numpy, float64. Run in the project's folder.

weight: a made-up Fisher of two matrices of the sparring models, under their names, with zeros in
every seventh place, a row and a column of zeros. weighted: sqrt(F) (W_it - W_pt) decomposed: .S
all values, .U and .V the leading eight."""

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import save_file

NAMES = ["model.layers.2.self_attn.v_proj.weight", "model.layers.5.per_layer_projection.weight"]
rng = np.random.default_rng(5)
fisher, out = {}, {}
with safe_open("recipes/sparring/it/model.safetensors", "pt") as it, safe_open(
    "recipes/sparring/pt/model.safetensors", "pt"
) as pt:
    for name in NAMES:
        d = (it.get_tensor(name).double() - pt.get_tensor(name).double()).numpy()
        f = np.exp(rng.normal(-9, 3, d.shape)).astype(np.float32)
        f.reshape(-1)[::7] = 0
        f[3, :] = 0
        f[:, 5] = 0
        u, s, vt = np.linalg.svd(np.sqrt(f.astype(np.float64)) * d, full_matrices=False)
        short = name.removesuffix(".weight")
        fisher[name] = f
        out[short + ".U"] = np.ascontiguousarray(u[:, :8])
        out[short + ".S"] = s
        out[short + ".V"] = np.ascontiguousarray(vt[:8].T)
save_file(fisher, "tests/golden/subspace/weight.safetensors")
save_file(out, "tests/golden/subspace/weighted.safetensors")
