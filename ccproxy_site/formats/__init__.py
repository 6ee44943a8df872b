"""Date formats of the admin's languages, where Django's are not what we want."""
