"""Ollama's API before llama-server's: a small server that translates each call, and holds no key and no model.

It asks an upstream, which speaks OpenAI's API, with the credentials of the client itself: who may not ask there may not
ask here. Everything is written on plain sockets, because http.server and http.client would cost the board 8 MB.
"""
