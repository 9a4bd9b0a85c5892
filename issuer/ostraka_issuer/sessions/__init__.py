"""Login sessions and the tokens they give: access tokens, and refresh tokens that can be used once."""
