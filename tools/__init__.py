"""What the workspace's maintenance commands (`./run lock`, `./run docs`) are made of."""
