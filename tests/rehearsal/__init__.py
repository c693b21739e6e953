"""Whoever adopts boardllama: a wheel, an inventory of one's own, a rehearsal on virtual boards. `make rehearsals`"""
