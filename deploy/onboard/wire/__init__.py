"""HTTP/1.1, as the front and Ollama's API speak it: read and written by talks, in a bounded memory and time."""
