"""`boardllama rehearse`: a virtual board of each kind gets what an inventory tells the real ones, before they do."""
