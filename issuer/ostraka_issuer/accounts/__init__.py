"""Users, their permissions and their passwords."""
