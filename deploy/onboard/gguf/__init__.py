"""GGUF files: the header, and which of them llama-server chats with. Read on the controller and on the target."""
