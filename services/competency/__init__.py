"""One truth about training, both ways: ESR competences to LMS certifications or evidence, completions to ESR."""
