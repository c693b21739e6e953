"""`boardllama uninstall`: everything of ours goes, and the machine is as it was before the first deploy."""
