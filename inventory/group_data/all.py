"""Every pin with its sha256 and every default. A flat list: what a host may be told is described in deploy/settings.py.

A board's own file beside this one holds only what differs; `--data key=value` on the command line wins over both.
"""

# llama.cpp: what is built. `llama_source` chooses one of pypi, git, archive, path; the pins of the others are not read.
llama_source = "pypi"
llama_commit = "0c1e57098bba43ac29e6e3b677cdceebdd22334f"
# The source distribution of llama-cpp-python carries llama.cpp at that commit.
llama_pypi_version = "0.3.36"
llama_pypi_url = "https://files.pythonhosted.org/packages/ec/e9/e7de2b0463ea3ffbf0ede6cb21b58c1258a8f6521aae45ca773a59fe7cf3/llama_cpp_python-0.3.36.tar.gz"
llama_pypi_sha256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
llama_git_url = "https://github.com/ggml-org/llama.cpp.git"
llama_archive_url = ""
llama_archive_sha256 = ""
llama_path = ""

# The CPU to build for: a name of deploy/cpu.py, or auto for the best one that the board can run.
cpu = "auto"

# The model: hub, path (a local .gguf file), smoke (a tiny one made here, for tests), or None (the operator brings one).
# docs/models.md: which ones are served, and what hubs, proxies and certificates need.
model = "hub"
model_repo = "TheBloke/TinyLlama-1.1B-Chat-v1.0-GGUF"
model_file = "tinyllama-1.1b-chat-v1.0.Q4_K_M.gguf"
model_revision = "52e7645ba7c309695bec7ac98f4f005b139cf465"
model_sha256 = "9fecc3b3cd76bba89d504f29b616eedf7da85b96540e490ca5824d3f7d2776a0"
model_size = 668788096
model_path = ""

# The server: becomes /etc/ollama-cpp/config.json. Beyond loopback it needs an API key ("generate": one made on the
# device) or allow_unauthenticated.
server_host = "127.0.0.1"
server_port = 11434
server_timeout = 300
# Networks whose machines may reach the server, such as "192.168.1.0/24 fd00::/8"; others do not even get a connection.
# "": anyone when server_host is beyond loopback, nobody when it is not.
server_clients = ""
allow_unauthenticated = False
api_key = None
context_size = 2048
# Threads for tokens and for prompts. 0: one per core, of the fast cores alone where a board has fast and slow ones; a
# number above theirs gets all cores.
threads = 0
batch_threads = 0
gpu_layers = 0
# Keep a second copy of the weights, rearranged for speed, where the CPU gains by it and the memory has room for it.
repack = True
batch_size = 512
temperature = 0.8
top_p = 0.9
top_k = 40
repeat_penalty = 1.1
log_level = "info"
log_format = "text"

# What happens to a file that was edited on the target: keep (and say so), or overwrite.
config_conflict = "keep"
# Seconds that the server may take from its start until it is healthy; 0: one minute, and what a slow card needs to
# read the model.
health_deadline = 0
# What a new release must reach, or the one before comes back. 0: any speed.
min_tokens_per_second = 0
# How many committed releases a target keeps, with their models; the one before the current one is always among them.
releases_kept = 2
# How many targets of a run get a new release first. The others get it when these have passed the gate.
canary = 0
# Files of the controller in which a run leaves the table of its end: as JSON, as JUnit XML. "": none.
report_json = ""
report_junit = ""
