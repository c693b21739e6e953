"""What deploy.py tells, in its order: llama.cpp, the model, the service with its key, the switch, the proof."""
