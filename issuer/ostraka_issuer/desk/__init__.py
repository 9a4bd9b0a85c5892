"""Everything on one machine, for `ostraka dev` and `ostraka demo`. Production imports nothing from here."""
