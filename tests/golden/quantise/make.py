"""Blocks of q8_0 and q4_0 for odd values, by the format's formulas in float32 (run by hand;
needs numpy, and the package gguf to compare with): python3 make.py"""
import json
import struct
import sys

import numpy as np
from gguf import quants, GGMLQuantizationType as T

f = np.float32
rng = np.random.default_rng(1)
rows = []


def row(*values):
    x = np.zeros(32, f)
    x[: len(values)] = np.array(values, f)
    rows.append(x)


row()                                       # zeros: d of q4_0 is -0
rows.append(np.full(32, -0.0, f))           # the same of negative zeros
row(1, -1, 1, -1)                           # ties of |x|: the first counts
row(-1, 1, 0.5, -0.5)
row(-8, 7, 6, 5, 4, 3, 2, 1, 0, -1, -2, -3, -4, -5, -6, -7)
row(8, -7, -6, 7.5, 7.4999995, 0.49999997)
row(127, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 126.5, -126.5, 0.49999997, -0.49999997)
row(-127, 63.5, -63.5, 1e-8, 126.49999)
row(1e-38, 1e-39, -1e-40, 1e-45)            # 1/d overflows: codes of zero
row(3.7e-37, -1e-39, 2e-38, 1e-45)          # denormals beside the smallest scale with an inverse
row(1, 1e-39, -1e-42, 1e-45, 0.1)
row(6e-8 * 127, 1e-7, -3e-6)                # scales that are denormal halves
row(2e-8 * 127, 1e-7, -1e-6)                # and below them: stored as 0, codes are not
row(3e-8 * 8, -1e-7)
row(8e6, -7.9e6, 3e6, 100)                  # large; too large for q4_0's half
row(5e5, -5e5, 65504, -1)
row(65504 * 8, 3)
for scale in (1e-30, 1e-6, 1e-3, 0.02, 0.02, 1, 30, 1e4):
    for _ in range(3):
        rows.append((rng.standard_normal(32) * scale).astype(f))
for _ in range(4):                          # weights as they are: bfloat16
    x = (rng.standard_normal(32) * 0.05).astype(f)
    rows.append((x.view(np.uint32) & np.uint32(0xFFFF0000)).view(f))
for _ in range(3):                          # multiples of a step: halves everywhere
    rows.append((rng.integers(-254, 255, 32) / 2).astype(f))

x = np.stack(rows)


def half(d):
    with np.errstate(over="ignore"):
        return np.asarray(d, np.float16).tobytes()


def inverse(d):
    with np.errstate(all="ignore"):
        i = f(1) / d if d != 0 else f(0)
    return i if np.isfinite(i) else f(0)


def q8_0(v):
    d = f(np.max(np.abs(v))) / f(127)
    y = v * inverse(d)
    whole = np.trunc(y)
    code = whole + (y - whole >= f(0.5)) - (y - whole <= f(-0.5))
    return half(d) + code.astype(np.int8).tobytes()


def q4_0(v):
    m, most = f(0), f(0)
    for e in v:
        if abs(e) > most:
            most, m = abs(e), e
    d = m / f(-8)
    code = np.minimum(15, np.trunc(v * inverse(d) + f(8.5))).astype(np.uint8)
    return half(d) + (code[:16] | code[16:] << 4).astype(np.uint8).tobytes()


a = np.stack([np.frombuffer(q8_0(v), np.uint8) for v in x])
b = np.stack([np.frombuffer(q4_0(v), np.uint8) for v in x])
with np.errstate(all="ignore"):
    pa, pb = quants.quantize(x, T.Q8_0), quants.quantize(x, T.Q4_0)
print("q8_0 blocks unlike the package's:", np.flatnonzero((a != pa).any(1)).tolist(), file=sys.stderr)
print("q4_0 blocks unlike the package's:", np.flatnonzero((b != pb).any(1)).tolist(), file=sys.stderr)
header, data = {}, b""
for name, t, kind in (("x", x, "F32"), ("q8_0", a, "U8"), ("q4_0", b, "U8")):
    header[name] = {"dtype": kind, "shape": list(t.shape), "data_offsets": [len(data), len(data) + t.nbytes]}
    data += t.tobytes()
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
open("blocks.safetensors", "wb").write(struct.pack("<Q", len(text)) + text + data)
