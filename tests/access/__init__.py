"""Who may do what, and what is nobody else's business: walked through field by field, as the schema lists them."""
