"""`boardllama VERB`: the product's command line, from any folder. `make VERB` of a clone is the same."""
