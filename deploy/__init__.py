"""Deploys of boardllama: what turns an arm64 board into a verified LLM appliance."""
