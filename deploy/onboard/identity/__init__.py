"""Who a board is: boardllama.txt, read and applied at boot."""
