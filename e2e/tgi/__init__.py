"""A stand-in for Text Generation Inference: its HTTP API and its metrics in front of llama.cpp's server.

This is not TGI. It is for end-to-end tests where no registry gives out TGI's image: what launches, asks, scrapes and
drains TGI's router v3 can be run against it, over a model that really generates. Flags, routes, bodies, errors, names
and types of metrics, and the moments at which they move are TGI's, read from its sources of versions 3.x
(github.com/huggingface/text-generation-inference, `router/` and `backends/v3/`). Every number comes from llama.cpp or
is counted in its streams. The README says what is left out.
"""
