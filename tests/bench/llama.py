"""llama.cpp's speed on a GGUF, beside which bench_decode's figures stand: one line,
"prefill TOKENS/S decode TOKENS/S", the best of three runs after one to warm up.

    python llama.py MODEL.gguf THREADS      (needs llama-cpp-python)
"""
import ctypes
import sys
import time

import llama_cpp as L

PREFILL, DECODE = 512, 24


def feed(ctx, ids):
    tokens = (L.llama_token * len(ids))(*ids)  # has to outlive the batch
    batch = L.llama_batch_get_one(tokens, len(ids))
    if L.llama_decode(ctx, batch):
        sys.exit("llama_decode failed")
    L.llama_get_logits_ith(ctx, -1)


def main():
    silent = L.llama_log_callback(lambda level, text, data: None)
    L.llama_log_set(silent, ctypes.c_void_p(0))
    threads = int(sys.argv[2])
    model = L.llama_model_load_from_file(sys.argv[1].encode(), L.llama_model_default_params())
    params = L.llama_context_default_params()
    params.n_ctx = 1024
    params.n_batch = params.n_ubatch = PREFILL
    params.n_threads = params.n_threads_batch = threads
    ctx = L.llama_init_from_model(model, params)
    memory = L.llama_get_memory(ctx)
    ids = [3 + i * 31 % 2000 for i in range(PREFILL)]
    best = [0.0, 0.0]
    for _ in range(4):
        L.llama_memory_clear(memory, True)
        begin = time.monotonic()
        feed(ctx, ids)
        best[0] = max(best[0], PREFILL / (time.monotonic() - begin))
        L.llama_memory_clear(memory, True)
        feed(ctx, ids[:4])
        begin = time.monotonic()
        for i in range(DECODE):
            feed(ctx, ids[i:i + 1])
        best[1] = max(best[1], DECODE / (time.monotonic() - begin))
    print(f"prefill {best[0]:.0f} decode {best[1]:.1f}")


main()
