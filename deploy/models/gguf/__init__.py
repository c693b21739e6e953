"""What the header of a GGUF file says, as far as a deploy asks."""
