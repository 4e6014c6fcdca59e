"""Files and memory of fluid codes: one record of blocks, one map of fields and units, one register of formats."""
