"""What any program on the controller needs: files, programs, templates, signatures, a Ctrl-C that comes in time."""
