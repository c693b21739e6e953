"""Every pin with its sha256 and the default of every setting. What an inventory and its group data say wins over it.

The comment above a setting says what the setting does: `make docs` makes docs/reference/settings.md from them.
A comment with a blank line below it heads a group, and its second sentence says when the group's settings take effect.
"""

# The build of llama-server. At the next deploy, which compiles again.

# Where the source comes from. The pins of the other kinds are not read.
llama_source = "pypi"
# The commit of llama.cpp, for pypi and git. The source distribution carries llama.cpp at that commit.
llama_commit = "0c1e57098bba43ac29e6e3b677cdceebdd22334f"
# The version of llama-cpp-python.
llama_pypi_version = "0.3.36"
# The address of its source distribution.
llama_pypi_url = "https://files.pythonhosted.org/packages/ec/e9/e7de2b0463ea3ffbf0ede6cb21b58c1258a8f6521aae45ca773a59fe7cf3/llama_cpp_python-0.3.36.tar.gz"
# The sha256 of that file.
llama_pypi_sha256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
# The repository, for git.
llama_git_url = "https://github.com/ggml-org/llama.cpp.git"
# The address of a .tar, .tar.gz, .tar.bz2 or .tar.xz file that holds llama.cpp, for archive.
llama_archive_url = ""
# The sha256 of that file.
llama_archive_sha256 = ""
# A folder of the controller that holds llama.cpp, for path.
llama_path = ""
# The CPU to build for; auto chooses the best build that the board can run.
cpu = "auto"

# The model. At the next deploy, in a new release.

# The model: a name that `make models` lists, or auto, the best of them for the board's memory; hub, the file of a hub
# that the settings below pin; path, a file of yours; smoke, a tiny model made here for tests. None: the operator brings
# one. docs/how-to/models.md says how to choose, which models are served, and what hubs, proxies and certificates need.
model = "auto"
# The repository, for hub. `make pin` prints this setting and the four below it for any file of a hub.
model_repo = "TheBloke/TinyLlama-1.1B-Chat-v1.0-GGUF"
# The file in that repository.
model_file = "tinyllama-1.1b-chat-v1.0.Q4_K_M.gguf"
# The commit of that repository.
model_revision = "52e7645ba7c309695bec7ac98f4f005b139cf465"
# The sha256 of the file.
model_sha256 = "9fecc3b3cd76bba89d504f29b616eedf7da85b96540e490ca5824d3f7d2776a0"
# The size of the file in bytes.
model_size = 668788096
# A .gguf file of the controller, for path.
model_path = ""
# Further files of the model, for any kind of it: parts of its weights after the first, a projector (what it sees and
# hears with) and a draft (a small model that makes it faster). {"kind": "projector", "file": "x.gguf", "sha256": "…",
# "size": 1} is a file of the hub, in the model's own repository unless "repo" and "revision" name another; without a
# sha256 it is a file of the controller. `make pin` prints these.
further_files: list[object] = []
# What the model is there for: chat, embed (texts become vectors: POST /v1/embeddings) or rerank (documents get scores:
# POST /v1/rerank). A model for another role is refused. None: what a model of the catalogue is made for, else chat.
role = None
# Several models at one address: names as for model, paths of .gguf files, or tables of model, role, alias, context_size
# and start ("boot", or "on_demand": the memory is given back after five minutes without a request). A request's model
# says which answers. [] serves the model above, alone.
models: list[object] = []
# Speak Ollama's API too, at /api/ of the same address, for Home Assistant, Open WebUI and whatever else knows Ollama.
# Without it /api/generate is answered with 404, as llama-server does.
ollama_api = False

# The server. At the next deploy, in a new release.

# The address to listen on. Beyond loopback the server needs an API key, or allow_unauthenticated.
server_host = "127.0.0.1"
# The port to listen on. Behind a front the servers have those from 10 above it, one each.
server_port = 11434
# Seconds that a connection may stand still before it is closed.
server_timeout = 300
# Networks whose machines may reach the server, such as "192.168.1.0/24 fd00::/8"; others do not even get a connection.
# "": anyone when server_host is beyond loopback, nobody when it is not. The inventory's gateways and monitors are let
# in, too.
server_clients = ""
# The address at which gateways reach the board. "": the one at which the deploy reaches it.
server_address = ""
# Tokens of a conversation, prompt and answer together. Conversations at the same time share them. 0: as many as the
# model was trained for. None: what suits the model on a board, or 2048 where that is not known.
context_size = None
# The cores that compute, such as "4-7" or "0,2-3". "": the fast ones where a board has fast and slow ones, else all.
cores = ""
# Threads for tokens. 0: one per core, of the fast cores alone where a board has fast and slow ones; a number above
# theirs gets all cores.
threads = 0
# Threads for prompts. 0: as many as for tokens.
batch_threads = 0
# Layers of the model that a GPU computes.
gpu_layers = 0
# Keep a second copy of the weights, rearranged for speed, where the CPU gains by it and the memory has room for it.
repack = True
# Tokens of a prompt that are computed together.
batch_size = 512
# Conversations at the same time; each may use the whole context while the others leave it. Others wait.
parallel = 4
# Copies of what a recurrent model (Qwen3.5, LFM2, …) or one with sliding windows remembers, for each conversation. With
# 2, recurrent models need not read a system prompt again that several conversations begin with; each takes memory.
checkpoints = 1
# What the memory of conversations is stored as. q8_0 takes half as much, q4_0 a quarter, at some cost of quality.
kv_cache = "f16"
# Memory for conversations that had to make room for others: when they go on, they need not be read again. The memory is
# counted when the model is fitted to the board.
prompt_cache = 0
# Guess at the next tokens from those before, and check the guesses together: faster where an answer repeats its prompt,
# as code and summaries do. Takes memory for each token of the vocabulary.
speculative = "none"
# Most tokens that an image takes, for models that see. None: what the model says.
image_tokens = None
# How freely tokens are chosen; 0 always takes the likeliest. What is None here and in the settings below is what the
# publisher of a model of the catalogue recommends, and for other models what llama.cpp has. A request that names a
# value of its own always gets it.
temperature = None
# Choose among the likeliest tokens that have this probability together.
top_p = None
# Choose among this many of the likeliest tokens.
top_k = None
# Choose among the tokens that have at least this share of the likeliest one's probability.
min_p = None
# What the likelihood of a token that was there before is divided by.
repeat_penalty = None
# What a token that was there before loses, once and for all.
presence_penalty = None
# Most tokens of an answer, where a request names no number. None: until the model ends it, or the context is full.
max_tokens = None
# Whether the model thinks before it answers: off, on, or auto, as its template says. None: off for models of the
# catalogue that need not think, else auto.
reasoning = None
# Most tokens of thinking, for each answer. None: no bound.
reasoning_budget = None
# The model's name in the API. None: its name in the catalogue, else that of its file.
alias = None
# How a conversation becomes a prompt, in place of the model's own template: chatml, or the text of a Jinja template.
chat_template = None
# Let go of the model after so many seconds without a request; the next one waits until it is loaded again.
sleep_after = 0
# A folder of the controller with prompts, such as long system prompts, which the server reads at its start: the first
# client with one of them need not wait for it. Each is the body of a request, NAME.json. "": none.
warm_prompts = ""
# Arguments of llama-server for which there is no setting, such as ["--seed", "7"]. Those that would undo what a board
# promises are refused, with the reason.
extra_arguments: list[str] = []
# How much the server writes into the journal.
log_level = "info"
# What a line of the journal is: text, or a JSON object.
log_format = "text"

# The operating system. At the next deploy; no part of a release.

# Take back what the operating system costs: every core at full speed (governor performance), huge pages for all
# programs, no swap on a card and none in packed memory (zram). False puts back what was there before.
tune_system = False

# What a monitor sees. At the next deploy; no part of a release.

# Run prometheus-node-exporter on the board, at port 9100 and for the inventory's monitors alone: heat, voltage, disk,
# memory, clock, release. 17 MB of memory, and a package of Debian's.
node_exporter = False

# Who may use the server. At the next deploy; a new key is no part of a release.

# Let anyone who reaches the server use it without an API key.
allow_unauthenticated = False
# The key that every request must carry. "generate": each device makes a key of its own. None: no key.
api_key = None

# A run. In the next run.

# What happens to a file that was edited on the target: keep (and say so), or overwrite.
config_conflict = "keep"
# Seconds that the server may take from its start until it is healthy. 0: one minute, and what a slow card needs to
# read the model.
health_deadline = 0
# Tokens per second that a new release must reach, or the one before comes back. 0: any speed. "tuned": seven tenths of
# what `make tune` measured for the same model; any speed for another one.
min_tokens_per_second = 0
# Tokens per second of the gate's question, its prompt included, at the speeds of what `make tune` chose; it writes this
# setting and the next one.
tuned_tokens_per_second = 0
# The file of the model that they were measured with.
tuned_model = ""
# How many committed releases a target keeps, with their models; the one before the current one is always among them.
releases_kept = 2
# How many targets of a run get a new release first. The others get it when these have passed the gate.
canary = 0
# How a model comes to the boards of a run: over the SSH connection of this controller to each (controller), from one
# another by BitTorrent inside of their network (peers), or from a web server where they are (site).
distribution = "controller"
# Where the web server of `site` has each model under its sha256, such as http://cache.example/models.
site_cache = ""
# Megabytes a second that models take at most: of this controller in all, whichever way they leave it, and of a board
# for each model that it gives or fetches. 0: all.
bandwidth = 0
# How many boards get their models at a time. 0: as many as are deployed to at a time.
model_parallel = 0
# A file of the controller in which a run leaves the table of its end as JSON. "": none.
report_json = ""
# A file of the controller in which a run leaves the table of its end as JUnit XML. "": none.
report_junit = ""

# The sweep of `make tune`. At the next `make tune`.

# Minutes that it takes at most. MINUTES= says it for one sweep.
tune_minutes = 20
# What the speed of prompts is worth beside that of answers: 0 counts answers alone, 1 prompts alone, 0.5 both alike.
# WEIGHT= says it for one sweep.
tune_prompt_weight = 0.5

# Boards that pull. At the next deploy; no part of a release.

# The address of a channel (`make channel`) from which the board gets its releases by itself. "": a deploy brings them.
channel_url = ""
# The boards whose releases it gets: a name in the channel. "": the group of the inventory that says what board it is.
channel_kind = ""
# Whether the board is among the first that get a release.
channel_canary = False
# Minutes between two looks at the channel, to which each board adds up to as many again, at random.
channel_minutes = 60
# Where the board reports what became of a release: http://…, https://…, or mqtt://HOST/TOPIC. "": nowhere.
channel_report = ""
# Let a channel bring a release that was made before the one that runs.
channel_older = False

# Channels. At the next `make channel`.

# Where `make channel` publishes: a folder that a web server serves, or user@host:path, by rsync. DEST= says it for one
# run. "": nothing is published.
channel_dest = ""
# Which share of the boards a release is offered to, in per cent, one phase after the other; 0: canaries alone. After
# the last phase it is offered to all.
channel_phases = [100]
# How many boards must have reported well before a release goes on to its next phase. 0: the hours alone decide.
channel_canaries = 1
# Hours that a phase lasts at least.
channel_soak_hours = 24
# A release goes no further when more than this share of the boards that tried it report that it does not serve.
channel_bad_percent = 5
# The folder of the controller in which the boards' reports arrive, in files *.jsonl. "": there are none.
channel_reports = ""
# Offer a release again that was stopped. RESUME=1 says it for one run.
channel_resume = False
# Days for which boards trust what was published, unless it is published again before.
channel_valid_days = 30
# The file that holds all that a site without a network needs: `make bundle` names it by OUT=. "": none is written.
channel_bundle = ""

# A monitor. At the next deploy, of hosts of the group `monitors` (docs/how-to/fleet.md).

# The address at which a monitor shows its page and Prometheus. Beyond loopback it needs a password.
monitor_host = "127.0.0.1"
# The port of that address.
monitor_port = 9090
# The password of the page, for the user fleet. None: no password, and loopback alone.
monitor_password = None
# Days for which a monitor keeps what it measured.
monitor_days = 30
# An address to which a monitor posts its alerts as JSON, as Alertmanager's webhooks do. "": none.
monitor_webhook = ""
# Addresses that get alerts by email, with commas between them. "": none.
monitor_email = ""
# The sender of these emails.
monitor_email_from = ""
# The server that takes these emails, as host:port.
monitor_mail_server = ""
# The account at that server. "": it takes them without.
monitor_mail_user = ""
# The password of that account.
monitor_mail_password = None
# A gateway, one address for all boards. At the next deploy of the gateway.

# The address to listen on. "::" is every address; 0.0.0.0 where the kernel has no IPv6.
gateway_host = "::"
# The port to listen on.
gateway_port = 443
# Encrypt what clients send: on, with the certificate below; acme, with one that an authority gives to whoever has the
# names, and with the one below until then; off, where something else encrypts.
gateway_tls = "on"
# A file of the controller with the certificate, those between it and its authority, and its private key (PEM). "": one
# by an authority of the controller's own, ~/.config/boardllama/gateway-ca.pem, which clients are given.
gateway_certificate = ""
# Names and addresses by which clients reach the gateway, beside those by which the controller does, with spaces between
# them. The certificate by the controller's own authority is for all of them. One by ACME is for the names among them,
# or where there is none for the name by which the controller reaches the gateway.
gateway_names = ""
# With gateway_tls = "acme": the directory of the authority, which must reach port 80 of the gateway by each name.
gateway_acme_url = "https://acme-v02.api.letsencrypt.org/directory"
# A file of the controller with the certificate (PEM) by which the gateway knows the authority's server. "": those that
# Debian trusts.
gateway_acme_ca = ""
# Whom the authority may write to. "": nobody.
gateway_acme_email = ""
# Whether you have read the authority's terms and agree to them.
gateway_acme_agree = False
# An address that the inventory's gateways share, by keepalived: one that serves has it. "": each has its own alone.
gateway_address = ""
# A file of the controller with a line for each client: its name, and its key, or sha256: and the hash of its key. The
# gateway gets the hashes alone; its log has the names.
gateway_clients = ""
# Let anyone who reaches the gateway use the boards.
gateway_allow_unauthenticated = False
# A header whose requests of one value go to one board, where the conversation was read already, as long as that board
# is not the busiest. "": each request goes to the board with the fewest.
gateway_session_header = ""
# Requests that may wait for a slot of a model; more are told when to come again.
gateway_queue = 64
# Seconds that a request may wait for a slot.
gateway_queue_seconds = 300
# Seconds that a board may be silent while it works on a request: the longest prompt on the slowest board.
gateway_silence_seconds = 1800
# Bytes of a request. As many are kept in memory for each one that waits.
gateway_body = 1_048_576
# Seconds after which a board that nobody asked is asked for a token. Without one it gets no requests until it has one.
# 0: never.
gateway_ask_seconds = 60
# The share of a model's boards that deploys take out of the rotation at once: at least one board.
gateway_out_share = 0.25
# Seconds that a deploy lets a board finish its requests.
gateway_drain_seconds = 600
