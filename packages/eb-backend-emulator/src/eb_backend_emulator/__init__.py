"""A chip that does not exist: any capabilities, any physics, settled by a relaxer on this computer."""
