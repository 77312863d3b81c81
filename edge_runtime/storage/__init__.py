"""Disk budgets: files that rotate, are compressed and deleted, days with a limit, outputs that recover."""
