"""The ceremony of root documents: root keys in files, drafts, signatures, publication."""
