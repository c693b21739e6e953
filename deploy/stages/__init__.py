"""What deploy.py tells, in its order: builds, llama.cpp, model, service with its key, switch, proof."""
