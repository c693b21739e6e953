"""What holds for all of your boards. A kind's own file beside this one wins over it, a host's own data over both,
and `--data key=value` on the command line over all.

Nothing need stand here: the product has a default for each setting, and docs/reference/settings.md lists them.
For example:

    model = "qwen3.5-2b"
    server_host = "0.0.0.0"
    api_key = "generate"
"""
