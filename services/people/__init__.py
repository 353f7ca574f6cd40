"""Who is applicant, employee or leaver today, and what account each should have."""
