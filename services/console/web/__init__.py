"""The console's pages: sign-in, rights, and what people see. The API is guarded by the same rights."""
