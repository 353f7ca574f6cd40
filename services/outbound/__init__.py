"""Everything that leaves: the LMS's desired state, and the completion file to ESR."""
