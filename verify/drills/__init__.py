"""Drills: live tests that restart, cut, delete or kill. Only on request; freely in the rehearsal."""
