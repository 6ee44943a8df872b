"""One exchange from arrival to end; reading starts at answer.py."""
