"""tandem's engine: settings -> want -> look -> plan -> apply -> look again -> verify."""
