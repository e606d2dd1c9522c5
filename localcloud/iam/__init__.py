"""Who may do what: identities, policies and their evaluation."""
