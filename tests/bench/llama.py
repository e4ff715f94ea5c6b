"""llama.cpp's speed on a GGUF, beside which bench_decode's figures stand: one line,
"prefill TOKENS/S decode TOKENS/S", the best of as many runs as bench_decode takes, after one
to warm up, which does not count.

    python llama.py MODEL.gguf THREADS      (needs llama-cpp-python)
"""
import ctypes
import sys
import time

import llama_cpp as L

PREFILL, DECODE, ROUNDS = 512, 12, 12  # as bench_decode.c, prefill every second round


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
    if not model:
        sys.exit(f"llama.cpp does not load {sys.argv[1]}")
    params = L.llama_context_default_params()
    params.n_ctx = 1024
    params.n_batch = params.n_ubatch = PREFILL
    params.n_threads = params.n_threads_batch = threads
    ctx = L.llama_init_from_model(model, params)
    memory = L.llama_get_memory(ctx)
    ids = [3 + i * 31 % 2000 for i in range(PREFILL)]
    best = [0.0, 0.0]
    for r in range(ROUNDS + 1):
        L.llama_memory_clear(memory, True)
        prefill = 0
        if r % 2 == 0:
            begin = time.monotonic()
            feed(ctx, ids)
            prefill = PREFILL / (time.monotonic() - begin)
            L.llama_memory_clear(memory, True)
        feed(ctx, ids[:4])
        begin = time.monotonic()
        for i in range(DECODE):
            feed(ctx, ids[i:i + 1])
        decode = DECODE / (time.monotonic() - begin)
        if r > 0:
            best = [max(best[0], prefill), max(best[1], decode)]
    print(f"prefill {best[0]:.0f} decode {best[1]:.1f}")


main()
