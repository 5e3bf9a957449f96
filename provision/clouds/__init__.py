"""The clouds' doors: one protocol, one OpenStack implementation for both environments."""
