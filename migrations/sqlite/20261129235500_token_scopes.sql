-- The scope becomes a list of words; a token may end by itself, and says when it was last of use.
ALTER TABLE api_tokens ADD COLUMN expires_at INTEGER;
ALTER TABLE api_tokens ADD COLUMN last_used_on TEXT;
