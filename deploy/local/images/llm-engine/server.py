"""The chat engine of the local cluster: llama.cpp's own HTTP server (OpenAI routes, /health, /metrics), as PyPI xllamacpp ships it.

Environment: MODEL (path of the GGUF file), PORT (8000), THREADS (1), CUPEL_MODEL_NAME (the name in answers).
What this server does, measured: docs/decisions/0010-llama-cpp-engine.md.
"""

import os
import signal
import sys
import threading

import xllamacpp


def stop(*_):
    # llama.cpp waits for running generations; the edge has drained by now, and Kubernetes would kill us anyway.
    os._exit(0)


def main():
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    model = os.environ.get("MODEL", "")
    if not os.path.isfile(model):
        sys.exit(f"MODEL: want the path of a GGUF file, got {model!r}")
    threads = int(os.environ.get("THREADS", "1"))

    params = xllamacpp.CommonParams()
    params.model.path = model
    params.model_alias = {os.environ.get("CUPEL_MODEL_NAME") or os.path.basename(model)}
    params.hostnames = ["0.0.0.0"]
    params.port = int(os.environ.get("PORT", "8000"))
    params.n_parallel = 4
    params.n_ctx = 4096
    # A replay must give the same bits whatever else the engine does at the time. Each of these alone breaks that (see the decision):
    # a reused prompt prefix, a key-value cache that the slots share, and the tiled flash-attention kernel of the CPU backend.
    params.cache_prompt = False
    params.cache_ram_mib = 0
    params.kv_unified = False
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.endpoint_metrics = True
    params.endpoint_slots = False
    params.ui = False
    params.cors_origins = ""
    server = xllamacpp.Server(params)
    print(f"listening on {server.listening_address}", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
