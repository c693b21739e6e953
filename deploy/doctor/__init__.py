"""Why a board does not serve: looked at from the controller, then by the board itself over SSH."""
