"""What runs on the target: the standard library of Python 3.10 alone. Each release carries its own copy.

The controller imports the rules from here too, so that settings and an operator's edits on the target obey one table.
"""
