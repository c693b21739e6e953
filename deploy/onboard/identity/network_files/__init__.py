"""The network of boardllama.txt, as the files of what runs the network on this system. Pure."""
