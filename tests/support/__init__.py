"""What the tests share: a real server, tiny projects, and the doors to run them through."""
