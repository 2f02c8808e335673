"""What tests share: files, servers, collections, and the command itself."""
