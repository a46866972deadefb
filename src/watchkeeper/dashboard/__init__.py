"""The dashboard: a plain function from request to response, and the pages behind it."""
