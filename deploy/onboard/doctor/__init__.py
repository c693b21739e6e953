"""The doctor on the board: what it looks at, what that means, and the screen that says so."""
